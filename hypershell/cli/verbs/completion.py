"""`hyper-shell completion`: prints the script that teaches a shell to complete the command line."""

from hypershell.cli.options import Parsed

USAGE = """\
Usage:
  hyper-shell completion (bash | zsh | fish) [options]

Print a script that completes verbs, options and file names for the given shell. It is made from the
same texts as --help and so never older than the program that prints it.

Options:
  -h, --help  Show this text and exit.

Examples:
  $ source <(hyper-shell completion bash)

  $ hyper-shell completion bash > ~/.local/share/bash-completion/completions/hyper-shell

  $ hyper-shell completion zsh > ~/.zfunc/_hyper-shell

  $ hyper-shell completion fish > ~/.config/fish/completions/hyper-shell.fish
"""


def options_from(parsed: Parsed) -> str:
    """The name of the shell."""
    from hypershell.cli.completion import SCRIPTS

    (shell,) = (name for name in SCRIPTS if parsed.flag(name))
    return shell


def run(shell: str) -> int:
    """Print the script for a shell; the exit status."""
    from hypershell.cli.completion import SCRIPTS

    print(SCRIPTS[shell](), end="")
    return 0
