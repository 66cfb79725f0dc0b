"""Where lines go in the end: a file, standard output, or nowhere."""

import fcntl
import logging
import os
import select
import stat
from collections.abc import Callable
from typing import Protocol

from hypershell.core.errors import FileRefused, FileUnwritable, system_reason
from hypershell.runtime import threads

log = logging.getLogger(__name__)

_PIPE_BYTES = 4096  # what a pipe that polls as writable takes without blocking (PIPE_BUF)


class Record(Protocol):
    """What remembers how long a file of ours may be, beyond the end of this process."""

    def note(self, length: int) -> None:
        """It may be as long as this from now on."""

    def close(self) -> None:
        """Nothing more is written."""


class LineSink:
    """Where lines go: a descriptor, or nowhere.

    `record` hears of the length of a file of ours before it grows. Each line ends with the
    `separator`, which also stands inside of some where they `may_continue`.
    """

    separator = b"\n"
    may_continue = False

    def __init__(
        self,
        descriptor: int | None,
        name: str,
        ours: bool = False,
        record: Record | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._record = record
        self.name = name
        self.is_wanted = descriptor is not None
        # A file of our own can be cut back to whole lines; one that standard output was
        # redirected to may hold what others wrote.
        self._ours = ours and descriptor is not None and _is_regular(descriptor)

    def facts(self) -> tuple[bytes, int, int, int] | None:
        """Path, device, inode and size of a file of ours; None for anything else."""
        if not self._ours or self._descriptor is None:
            return None
        status = os.fstat(self._descriptor)
        return self.path, status.st_dev, status.st_ino, status.st_size

    def cut(self, length: int) -> None:
        """Cut a file of ours to its first bytes; what is written next follows them."""
        if self._ours and self._descriptor is not None:
            os.ftruncate(self._descriptor, length)
            os.lseek(self._descriptor, length, os.SEEK_SET)
            self._note(length)

    def _note(self, length: int) -> None:
        if self._record is not None:
            self._record.note(length)

    @property
    def path(self) -> bytes:
        """The absolute path of a file of ours; b"" for anything else."""
        return os.fsencode(os.path.abspath(self.name)) if self._ours else b""

    def sync(self) -> int:
        """Bring what was written to the disk, and return how long a file of ours is now."""
        if not self._ours or self._descriptor is None:
            return 0
        os.fdatasync(self._descriptor)
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def write(self, data: bytes, keep_waiting: threads.Event) -> int:
        """Write all of it and return how much was; OSError, with all whole lines counted.

        Waits for a slow reader as long as `keep_waiting` is set. A reader that has gone is not
        an error: what it does not want is dropped.
        """
        if self._descriptor is None:
            return len(data)
        if self._ours:
            return self._write_file(data)
        return self._write_stream(data, keep_waiting)

    def _write_file(self, data: bytes) -> int:
        assert self._descriptor is not None
        start = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        self._note(start + len(data))
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # Half a line would be taken for another task: back to the end of the last whole one.
            whole = data.rfind(self.separator, 0, written) + 1
            os.ftruncate(self._descriptor, start + whole)
            os.lseek(self._descriptor, start + whole, os.SEEK_SET)
            if whole:
                return whole
            raise
        return written

    def _write_stream(self, data: bytes, keep_waiting: threads.Event) -> int:
        assert self._descriptor is not None
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        written = 0
        while written < len(data):
            if not poller.poll(500):
                if keep_waiting.is_set():
                    continue
                return written
            try:
                written += os.write(self._descriptor, data[written : written + _PIPE_BYTES])
            except BlockingIOError:
                continue
            except BrokenPipeError:
                log.info("%s was closed by its reader; further output to it is dropped", self.name)
                self._descriptor = None
                return len(data)
            except OSError:
                if written:
                    return written
                raise
        return written

    def close(self) -> None:
        """Close a file; what the system could not store until now is an OSError."""
        if self._descriptor is not None and self._ours:
            self._note(os.fstat(self._descriptor).st_size)
            os.close(self._descriptor)
        self._descriptor = None
        if self._record is not None:
            self._record.close()


def open_file(path: str, option: str) -> int:
    """A descriptor to write to a file that `option` names; FileUnwritable.

    FileRefused while another run has it: a file is of one run until that closes it. Not truncated
    yet: a server that cannot start must not cost the one that wrote it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error, option) from error
    if _is_regular(descriptor) and _is_taken(descriptor):
        os.close(descriptor)
        reason = "being written by another run, or locked by another program"
        raise FileRefused(path=path, reason=reason, option=option)
    return descriptor


def _is_taken(descriptor: int) -> bool:
    """Whether another run has this file; if not, it is ours until the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass  # not every file system has locks
    return False


def open_sink(
    path: str | None,
    to_stdout: bool,
    recorded: Callable[[bytes, os.stat_result], Record | None] | None = None,
) -> LineSink:
    """Standard output, or the file `path`, which is not touched yet, or nowhere.

    `recorded` makes the record of a file, of which it is given the absolute path; it may refuse the
    file. FileUnwritable if it cannot be opened.
    """
    if to_stdout:
        name = "standard output"
        try:
            return LineSink(os.dup(1), name)
        except OSError as error:
            raise _unwritable(name, error, "-f") from error
    if path is None:
        return LineSink(None, "")
    descriptor = open_file(path, "-f")
    try:
        record = None
        if recorded is not None and _is_regular(descriptor):
            record = recorded(os.fsencode(os.path.abspath(path)), os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return LineSink(descriptor, path, ours=True, record=record)


def _unwritable(path: str, error: OSError | ValueError, option: str) -> FileUnwritable:
    reason = system_reason(error)
    return FileUnwritable(path=path, reason=reason, option=option)


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)
