"""The places to which a client writes what its tasks print: opened, checked, and locked."""

import os
import stat
from collections.abc import MutableMapping
from typing import NamedTuple

from hypershell.client.options import ClientOptions
from hypershell.client.tasks.target import TryLock, file_lock, record_lock
from hypershell.core.environment import OUTPUT_LOCK
from hypershell.core.errors import FileUnwritable, system_reason

_OUT, _ERR = "-o", "-e"


class Outputs(NamedTuple):
    """The descriptors of both outputs, and the locks that keep other clients' writes apart."""

    out: int
    err: int
    locks: tuple[TryLock | None, TryLock | None]


def open_outputs(options: ClientOptions, environ: MutableMapping[str, str]) -> Outputs:
    """Open both outputs, appending to a file; FileUnwritable.

    Takes the lock file that a launcher left in the environment, so that tasks do not see it.
    """
    lock_file = _lock_file(environ)
    places = []
    for path, default, option in ((options.out_path, 1, _OUT), (options.err_path, 2, _ERR)):
        descriptor = _open(path, default, option)
        if path is not None:
            lock = file_lock(descriptor)
        else:
            lock = None if lock_file is None else record_lock(lock_file, descriptor)
        places.append((descriptor, lock))
    (out, out_lock), (err, err_lock) = places
    return Outputs(out, err, (out_lock, err_lock))


def check_outputs(out_path: str | None, err_path: str | None) -> None:
    """See that a client could open these, making them if need be; FileUnwritable."""
    for path, option in ((out_path, _OUT), (err_path, _ERR)):
        if path is not None and not _is_pipe(path):  # which would wait for its reader
            os.close(_open(path, 0, option))


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _open(path: str | None, default: int, option: str) -> int:
    """A file of its own, appended to, or what this process was given."""
    try:
        if path is not None:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        return os.dup(default)
    except (OSError, ValueError) as error:
        if path is None:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)  # we were started without
        reason = system_reason(error)
        raise FileUnwritable(path=path, reason=reason, option=option) from error


def _lock_file(environ: MutableMapping[str, str]) -> int | None:
    """The descriptor that OUTPUT_LOCK names, which no task inherits; None if there is none."""
    named = environ.pop(OUTPUT_LOCK, "")
    try:
        os.set_inheritable(int(named), False)
    except (OSError, ValueError):
        return None
    return int(named)
