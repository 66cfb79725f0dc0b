"""Questions to a person at the terminal. None is asked if standard input is something else."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hypershell.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def passphrase_prompt() -> Callable[["Path"], bytes] | None:
    """Asks for the passphrase of an access file; None if there is no terminal."""
    return _ask_passphrase if _has_terminal() else None


def new_passphrase_prompt() -> Callable[["Path"], bytes] | None:
    """Asks twice for the passphrase of a new access file; None if there is no terminal."""
    return _ask_new_passphrase if _has_terminal() else None


def say_that_lines_are_read() -> None:
    """Tell somebody who forgot FILE, and sits at a terminal, what is being waited for."""
    if _has_terminal():
        print("hyper-shell: reading commands from this terminal; end with Ctrl-D", file=sys.stderr)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _ask_passphrase(path: "Path") -> bytes:
    import getpass

    from hypershell.access.errors import shown

    return os.fsencode(getpass.getpass(f"Passphrase of {shown(path)}: "))


def _ask_new_passphrase(path: "Path") -> bytes:
    """A passphrase that was typed twice; UsageError if the two differ. Empty if none was typed."""
    import getpass

    from hypershell.access.errors import shown

    first = getpass.getpass(f"Passphrase for {shown(path)} (empty to use your seal key): ")
    if first and first != getpass.getpass("Again: "):
        raise UsageError(
            "the two passphrases differ; nothing was written", "access", "run it again"
        )
    return os.fsencode(first)
