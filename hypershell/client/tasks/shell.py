"""The shell that runs lines: its program and arguments, and what it reads before each line."""

import os
import shlex
from typing import NamedTuple

from hypershell.core.errors import PrologueUnusable, ShellUnusable

_DEFAULT = "/bin/sh"


class TaskShell(NamedTuple):
    """A program, by its full path, with arguments before `-c`, and the full path of a file that is
    sourced before each line, if there is one.
    """

    path: str = _DEFAULT
    arguments: tuple[str, ...] = ()
    prologue: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether a command without any syntax is the same to it as to the system."""
        return self == DEFAULT_SHELL

    def words(self) -> list[bytes]:
        """The arguments with which it is started, its own name first, before the command."""
        first = os.path.basename(self.path), *self.arguments, "-c"
        return [os.fsencode(word) for word in first]

    def script(self, command: bytes) -> bytes:
        """What it is to run for a command: if the prologue fails, that is how the task ends."""
        if not self.prologue:
            return command
        return b". " + os.fsencode(shlex.quote(self.prologue)) + b" || exit\n" + command


DEFAULT_SHELL = TaskShell()


def shell_of(text: str, prologue: str | None = None) -> TaskShell:
    """The shell that `--shell` names, with its arguments; ShellUnusable, PrologueUnusable.

    A name without a slash is looked for in PATH.
    """
    try:
        program, *arguments = shlex.split(text)
    except ValueError as error:
        raise ShellUnusable(path=text or '""', reason="it cannot be read as words") from error
    if "/" not in program:
        import shutil

        found = shutil.which(program)
        if found is None:
            raise ShellUnusable(path=program, reason="it is not in PATH")
        program = os.path.abspath(found)
    if not os.path.isabs(program):
        raise ShellUnusable(path=program, reason="it is not a full path")
    if not os.access(program, os.X_OK) or os.path.isdir(program):
        reason = "it cannot be executed" if os.path.exists(program) else "it does not exist"
        raise ShellUnusable(path=program, reason=reason)
    return TaskShell(program, tuple(arguments), "" if prologue is None else _checked(prologue))


def _checked(prologue: str) -> str:
    """The full path of a file that can be read; PrologueUnusable."""
    path = os.path.abspath(prologue)
    if not os.path.isfile(path):
        reason = "it is not a file" if os.path.exists(path) else "it does not exist"
        raise PrologueUnusable(path=path, reason=reason)
    if not os.access(path, os.R_OK):
        raise PrologueUnusable(path=path, reason="it cannot be read")
    return path
