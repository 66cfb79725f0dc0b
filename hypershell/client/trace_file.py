"""The file in which a client's table of what has begun outlives both the client and its supervisor.

It is in memory (/dev/shm), in a directory of this user alone. The supervisor makes it, locks it
(`flock`) and forks; nobody ever opens it again to write. The lock lasts until the last process has
ended that has the file mapped: supervisor, client, and what the client is just about to start. So
who gets the lock knows by the kernel's word, wherever these processes were, that all of them are
dead. Then the table says what they left (`traces`).

Where such a file cannot be had, the table is in memory without a name, as it is where nobody needs
it: then only the lease says when the tasks of a client may run elsewhere.
"""

import contextlib
import fcntl
import mmap
import os
import stat
from collections.abc import Iterator

from hypershell.client.begun_table import (
    FIRST_SPARE_ENTRIES,
    HEADER_BYTES,
    MAX_BYTES,
    SPARE_ENTRIES,
    BegunTable,
    Trace,
    read_owner,
    read_trace,
    table_bytes,
)
from hypershell.runtime import clock
from hypershell.runtime.limits import opening

KEPT = 64
"""Files of dead clients that stay, of which no server has asked yet."""

_CROWDED = 256
"""So many files are looked through by a client that starts, which has else no time for it."""


def trace_directory() -> str:
    """Where the files of this user are."""
    return f"/dev/shm/hyper-shell-{os.geteuid()}"


def make_table(slots: int, directory: str | None = None) -> BegunTable:
    """A table for a client with so many slots, in a file if there can be one."""
    path = trace_directory() if directory is None else directory
    capacity = slots + SPARE_ENTRIES
    try:
        memory = _make_file(path, *table_bytes(slots))
    except (OSError, ValueError):
        return BegunTable(capacity)
    return BegunTable(capacity, memory, slots + FIRST_SPARE_ENTRIES)


class TraceFile:
    """A file that this process made, mapped as a whole, of which a part has memory already.

    To write to the rest would end the process where there is no memory left: see `reserve`.
    """

    def __init__(self, path: str, descriptor: int, size: int) -> None:
        self._path = path
        self._identity = _identity(os.fstat(descriptor))
        self.memory = mmap.mmap(descriptor, size)

    def reserve(self, size: int) -> bool:
        """See Memory. It may be called by the thread that starts tasks alone."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            if _identity(os.fstat(descriptor)) != self._identity:
                return False
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def remove(self) -> None:
        """See Memory. What others left is looked through, too."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        with contextlib.suppress(OSError), open_directory(os.path.dirname(self._path)) as directory:
            sweep(directory)


def _make_file(path: str, size: int, reserved: int) -> TraceFile:
    """A new file, locked; OSError, ValueError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    name = f"{int(clock.boottime() * 1e6):016x}-{os.getpid()}"
    with open_directory(path) as directory:
        if len(os.listdir(directory)) > _CROWDED:
            sweep(directory)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            os.ftruncate(descriptor, size)
            os.posix_fallocate(descriptor, 0, reserved)
            return TraceFile(os.path.join(path, name), descriptor, size)
        except (OSError, ValueError):
            os.unlink(name, dir_fd=directory)
            raise
        finally:
            os.close(descriptor)  # the mapping has one of its own


@contextlib.contextmanager
def open_directory(path: str) -> Iterator[int]:
    """A descriptor of a directory, if it belongs to this user alone; OSError if not."""
    with opening:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise PermissionError(path)
        yield descriptor
    finally:
        os.close(descriptor)


def owner_of(directory: int, name: str) -> int | None:
    """The number of the client to which a file belongs; None if that cannot be told."""
    try:
        with _opened(directory, name) as descriptor:
            owner = read_owner(os.pread(descriptor, HEADER_BYTES, 0))
    except OSError:
        return None
    return None if owner is None else owner.client


def left_behind(directory: int, name: str) -> Trace | None:
    """What a file says whose processes are all dead; None if one lives, or nothing can be told."""
    try:
        with _opened(directory, name) as descriptor:
            if not _is_free(descriptor) or os.fstat(descriptor).st_size > MAX_BYTES:
                return None
            return read_trace(os.pread(descriptor, MAX_BYTES, 0))
    except OSError:
        return None


def sweep(directory: int, keep: int = KEPT) -> None:
    """Remove the files of processes that are dead, but for the newest of them."""
    names = os.listdir(directory)
    if len(names) <= keep:
        return
    kept = 0
    for name in sorted(names, reverse=True):
        with contextlib.suppress(OSError):
            with _opened(directory, name) as descriptor:
                is_dead = _is_free(descriptor)
            if is_dead and kept >= keep:
                os.unlink(name, dir_fd=directory)
            kept += is_dead


@contextlib.contextmanager
def _opened(directory: int, name: str) -> Iterator[int]:
    """A descriptor of one of our files, to read and to try its lock; OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with opening:
        descriptor = os.open(name, flags, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(name)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    """Whether nobody has a file locked. It stays locked by us until the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
