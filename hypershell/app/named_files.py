"""The files that a command line names: no two outputs go to one file, and none to the input."""

import os
import stat
from collections.abc import Iterable

from hypershell.core.errors import FileRefused, InputIsOutput, OutputsMixed

_SQLITE = b"SQLite format 3\0"
_STDIN = "-"
_STREAMS = {1: "standard output", 2: "standard error"}


def check_files(outputs: Iterable[tuple[str, str | None]], inputs: Iterable[str] = ()) -> None:
    """See that the outputs, each an option and its path, and the inputs are different files.

    Standard output and standard error are outputs as well. InputIsOutput, OutputsMixed; FileRefused
    for an output that is a database, perhaps our own.
    """
    read = {_file_of(0) if path == _STDIN else _identity(path) for path in inputs} - {None}
    found: dict[object, str] = {}
    for option, path in outputs:
        if path is None or (file := _identity(path)) is None:
            continue
        if file in read:
            raise InputIsOutput(path=path, option=option)
        if file in found:
            raise OutputsMixed(option=found[file], other=option, path=path)
        found[file] = option
        if _is_database(path):
            raise FileRefused(path=path, reason="an SQLite database", option=option)
    for descriptor, name in _STREAMS.items():
        if _file_of(descriptor) in read:
            raise InputIsOutput(path=name, option=name)


def _identity(path: str) -> object:
    """What two names of one file have in common; None for what is not a regular file."""
    try:
        return _file_of(path)
    except (OSError, ValueError):
        return os.path.realpath(path) if "\0" not in path else None  # it is made when it is opened


def _is_database(path: str) -> bool:
    """Whether a regular file begins as those of SQLite do."""
    try:
        # A pipe would wait to be opened by somebody else.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb", buffering=0) as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except (OSError, ValueError):
        return False


def _file_of(file: str | int) -> tuple[int, int] | None:
    status = os.stat(file)
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None
