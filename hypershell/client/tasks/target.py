"""Where the output of tasks goes in the end, and what becomes of it there when it cannot.

A disk may be full for a moment: what could not be written is kept, within bounds, and tried again
while tasks run. Only what is never written is lost, and it is counted.

Several clients may write to one place. A write of up to PIPE_BUF bytes is whole by itself, a longer
one is not: so where there are others, each write is made under a lock that all of them take. The
lock is tried and never waited for: the client that has it may be waiting for a reader that has
stopped, and the tasks here must be stopped in time all the same.
"""

import contextlib
import errno
import fcntl
import os
import select
import stat
from collections.abc import Callable, Iterator

from hypershell.core.unwritten import Unwritten
from hypershell.runtime import clock
from hypershell.runtime.backoff import Backoff

MAX_KEPT = 16 * 2**20
"""Most bytes that are kept to be tried again."""

RETRY_SECONDS = 0.5
"""Seconds until what could not be written is tried again."""

_PIPE_BYTES = 4096  # what a pipe or terminal that polls as writable takes without blocking
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
_FIRST_PAUSE, _MAX_PAUSE = 0.0002, 0.02  # between two looks for a lock

_REASONS = {0: "there was no room to keep it", errno.ETIMEDOUT: "its reader does not read"}

TryLock = Callable[[bool], None]
"""Takes (True) or releases (False) a lock between processes; BlockingIOError if it is taken."""


def file_lock(descriptor: int) -> TryLock | None:
    """A lock on a file that each client opens for itself; None for a device."""
    if not _is_shared(os.fstat(descriptor).st_mode):
        return None
    return lambda take: fcntl.flock(
        descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if take else fcntl.LOCK_UN
    )


def record_lock(lock_file: int, descriptor: int) -> TryLock | None:
    """A lock for clients that were given `descriptor`, in a file that they were all given.

    Of a lock on the descriptor itself they would be one owner, as they share what it stands for.
    """
    status = os.fstat(descriptor)
    if not _is_shared(status.st_mode):
        return None
    place = hash((status.st_dev, status.st_ino)) % 2**31
    return lambda take: fcntl.lockf(
        lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB if take else fcntl.LOCK_UN, 1, place
    )


def _is_shared(mode: int) -> bool:
    return not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode))


class Target:
    """A descriptor to which output goes. All of it belongs to the executor's thread.

    `give_up` tells whether waiting for a slow reader is over. `lock` keeps the writes of other
    clients to the same place apart from ours.
    """

    def __init__(
        self, descriptor: int, give_up: Callable[[], bool], lock: TryLock | None = None
    ) -> None:
        self.descriptor = descriptor
        self.error = 0
        """The errno for which something was not written, 0 while all was."""
        self._give_up = give_up
        self._lock = lock
        self._is_locked = False
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLOUT)
        self._kept = bytearray()
        self._retry_at = 0.0
        self._lost_lines = 0
        self._lost_bytes = 0

    def write(self, data: bytes | bytearray) -> None:
        """Write all of it, waiting for a slow reader; what cannot be written is kept for later."""
        if self._kept or self.error == errno.EPIPE:
            self._keep(data)
            if self._kept and clock.monotonic() >= self._retry_at:
                self.try_again()
            return
        with self.undivided():
            written = self._push(data)
        if written < len(data):
            self._keep(data[written:])

    @contextlib.contextmanager
    def undivided(self) -> Iterator[None]:
        """What is written inside this is not divided by what other clients write."""
        if self._lock is None or self._is_locked:
            yield
            return
        lock = self._lock
        self._is_locked = self._take(lock)
        try:
            yield
        finally:
            if self._is_locked:
                self._is_locked = False
                lock(False)

    def try_again(self) -> bool:
        """Write what was kept; whether nothing is left of it."""
        with self.undivided():
            del self._kept[: self._push(self._kept)]
        if not self._kept:
            self.error = 0 if self.error != errno.EPIPE else self.error
        elif self.error == errno.EPIPE:
            self._lose(self._kept)
            self._kept.clear()
        else:
            self._retry_at = clock.monotonic() + RETRY_SECONDS
        return not self._kept

    def retry_in(self, now: float) -> float | None:
        """Seconds until `try_again` is due; None while nothing is kept."""
        return max(0.0, self._retry_at - now) if self._kept else None

    def unwritten(self) -> Unwritten | None:
        """What is not written so far; None if all is, or if its reader went away of its own."""
        lines, size = self._lost_lines + _lines(self._kept), self._lost_bytes + len(self._kept)
        if not size or (self.error == errno.EPIPE and _is_heard()):
            return None
        return Unwritten(lines, size, _REASONS.get(self.error) or os.strerror(self.error).lower())

    def _push(self, data: bytes | bytearray) -> int:
        """Write all of it, waiting for a slow reader; how much was."""
        written = 0
        while written < len(data):
            if not self._regular and not self._poller.poll(200):
                if self._give_up():
                    self.error = self.error or errno.ETIMEDOUT
                    break
                continue
            try:
                end = len(data) if self._regular else self._end_of_piece(data, written)
                with memoryview(data) as view:
                    written += os.write(self.descriptor, view[written:end])
            except BlockingIOError:
                continue
            except OSError as error:
                self.error = error.errno or errno.EIO
                return self._cut_torn(data, written)
        return written

    def _cut_torn(self, data: bytes | bytearray, written: int) -> int:
        """Take back half a line from a file that others write to as well; how much was written."""
        whole = data.rfind(b"\n", 0, written) + 1
        if whole < written and self._regular and self._is_locked:
            end = os.lseek(self.descriptor, 0, os.SEEK_CUR)
            if end == os.fstat(self.descriptor).st_size:  # else somebody wrote without the lock
                os.ftruncate(self.descriptor, end - (written - whole))
                os.lseek(self.descriptor, end - (written - whole), os.SEEK_SET)
                return whole
        return written

    def _keep(self, data: bytes | bytearray) -> None:
        """Keep this for another try, unless there is no hope or no room for it."""
        if not self._kept:
            self._retry_at = clock.monotonic() + RETRY_SECONDS
        if self.error == errno.EPIPE or len(self._kept) + len(data) > MAX_KEPT:
            self._lose(data)
        else:
            self._kept += data

    def _lose(self, data: bytes | bytearray) -> None:
        self._lost_lines += _lines(data)
        self._lost_bytes += len(data)

    def _take(self, lock: TryLock) -> bool:
        """Take the lock as soon as nobody has it; False if it cannot be had."""
        backoff = Backoff(_FIRST_PAUSE, _MAX_PAUSE)
        while True:
            try:
                lock(True)
            except (BlockingIOError, PermissionError):
                if self._give_up():
                    return False
                clock.sleep(backoff.pause())
            except OSError:
                self._lock = None  # not on this file system
                return False
            else:
                return True

    @staticmethod
    def _end_of_piece(data: bytes | bytearray, start: int) -> int:
        """Where a piece that goes in one write ends: after a line, so that no other can tear it."""
        return data.rfind(b"\n", start, start + _PIPE_BYTES) + 1 or start + _PIPE_BYTES


def _lines(data: bytes | bytearray) -> int:
    """How many lines this is; the rest of one counts as one."""
    return data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))


def _is_heard() -> bool:
    """Whether somebody can still read what this process says on standard error.

    Where nobody can, the reader of the output did not choose to go: the connection is lost.
    """
    try:
        poller = select.poll()
        poller.register(2, select.POLLOUT)
        return not any(event & _GONE for _, event in poller.poll(0))
    except OSError:
        return False
