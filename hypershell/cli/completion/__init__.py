"""The completion scripts, one module a shell, made from the verbs' usage texts."""

from collections.abc import Callable

from hypershell.cli.completion.bash import bash
from hypershell.cli.completion.fish import fish
from hypershell.cli.completion.zsh import zsh

SCRIPTS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""Name of the shell -> what renders its script."""
