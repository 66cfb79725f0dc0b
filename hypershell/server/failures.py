"""Writes the lines of failed tasks, byte for byte and once each, in the form the reader takes back.

A loop of its own, as whoever reads standard output may be slow: the receiver never waits for it.
"""

import errno
import logging
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable, Sequence

from hypershell.core.errors import FileUnwritable
from hypershell.store.journal import Recorded

log = logging.getLogger(__name__)

MOST_KEPT_BYTES = 64 * 2**20
"""Of lines that could not be written: kept for another try."""

_RETRY_SECONDS = 1.0
_MOST_NUMBERS = 10_000
_PIPE_BYTES = 4096  # what a pipe that polls as writable takes without blocking (PIPE_BUF)


def nothing_stays(path: bytes, device: int, inode: int, size: int) -> int:
    """A run begins with an empty file."""
    return 0


class LineSink:
    """Where lines go: a descriptor, or nowhere."""

    def __init__(self, descriptor: int | None, name: str, ours: bool = False) -> None:
        self._descriptor = descriptor
        self.name = name
        self.keeps = descriptor is not None
        # A file of our own can be cut back to whole lines; one that standard output was
        # redirected to may hold what others wrote.
        self._ours = ours and descriptor is not None and _is_regular(descriptor)

    def begin(self, stays: Callable[[bytes, int, int, int], int] = nothing_stays) -> None:
        """The run begins: of what an earlier one left in a file of ours, so many bytes stay.

        `stays` is asked how many, with the path, device, inode and size of the file.
        """
        if self._ours and self._descriptor is not None:
            status = os.fstat(self._descriptor)
            length = stays(self.path, status.st_dev, status.st_ino, status.st_size)
            os.ftruncate(self._descriptor, length)
            os.lseek(self._descriptor, length, os.SEEK_SET)

    @property
    def path(self) -> bytes:
        """The absolute path of a file of ours; b"" for anything else."""
        return os.fsencode(os.path.abspath(self.name)) if self._ours else b""

    def settle(self) -> int:
        """Bring what was written to the disk, and return how long a file of ours is now."""
        if not self._ours or self._descriptor is None:
            return 0
        os.fdatasync(self._descriptor)
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def write(self, data: bytes, keep_waiting: threading.Event) -> int:
        """Write all of it and return how much was; OSError, with all whole lines counted.

        Waits for a slow reader as long as `keep_waiting` is set. A reader that has gone is no
        error: what it does not want is dropped.
        """
        if self._descriptor is None:
            return len(data)
        if self._ours:
            return self._write_file(data)
        return self._write_stream(data, keep_waiting)

    def _write_file(self, data: bytes) -> int:
        assert self._descriptor is not None
        start = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # Half a line would be taken for another task: back to the end of the last whole one.
            whole = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(self._descriptor, start + whole)
            os.lseek(self._descriptor, start + whole, os.SEEK_SET)
            if whole:
                return whole
            raise
        return written

    def _write_stream(self, data: bytes, keep_waiting: threading.Event) -> int:
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
                log.info("the reader of %s has gone; failed lines are no longer printed", self.name)
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
            os.close(self._descriptor)
        self._descriptor = None


def open_sink(path: str | None, to_stdout: bool) -> LineSink:
    """Standard output, or the file `path`, emptied when the run begins, or nowhere.

    FileUnwritable if it cannot be opened.
    """
    name = "standard output" if to_stdout else path
    if name is None:
        return LineSink(None, "")
    try:
        if to_stdout:
            return LineSink(os.dup(1), name)
        # Not truncated yet: a server that cannot start must not cost the one that runs its file.
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        return LineSink(os.open(name, flags, 0o666), name, ours=True)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise FileUnwritable(path=name, reason=reason, option="-f") from error


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


Printed = Callable[[Sequence[int], bytes, int], Callable[[], None]]
"""Told the ids of tasks whose lines are written, the path of a file of ours and its length.

What it returns waits until that is durable.
"""


def not_kept(task_ids: Sequence[int], path: bytes, length: int) -> Callable[[], None]:
    """Without a database, nobody needs to know what was printed."""
    return lambda: None


class Failures:
    """Moves the lines of failed tasks to a sink, as they come."""

    def __init__(self, sink: LineSink, printed: Printed = not_kept) -> None:
        self._sink = sink
        self._printed = printed
        self._all_kept: Callable[[], None] = lambda: None
        self._changed = threading.Condition()
        self._lines: deque[tuple[int, bytes]] = deque()  # id, and the line with its newline
        self._bytes = 0
        self._torn = 0  # bytes of the first line that are written already
        self._unkept: list[int] = []
        self._retrying = False
        self._closing = False
        self._patient = threading.Event()
        self._patient.set()
        self._said = False
        self._dropped = 0

    @property
    def keeps(self) -> bool:
        """Whether lines are asked for at all."""
        return self._sink.keeps

    def begin(
        self,
        stays: Callable[[bytes, int, int, int], int] = nothing_stays,
        owed: Sequence[tuple[int, bytes]] = (),
    ) -> None:
        """The run begins; `owed` are the id and line of tasks that an earlier one did not print."""
        self._sink.begin(stays)
        if self._sink.keeps:
            self._lines.extend((task_id, line + b"\n") for task_id, line in owed)
            self._bytes += sum(len(line) + 1 for _, line in owed)

    def put(self, failed: list[Recorded]) -> None:
        """Add the lines of tasks that are finally failed; returns at once."""
        for recorded in failed:
            log.debug(
                "task %d (line %d) failed at attempt %d: %s",
                recorded.task.id,
                recorded.task.number,
                recorded.attempt,
                recorded.outcome.cause,
            )
        if not self._sink.keeps:
            room = _MOST_NUMBERS - len(self._unkept)
            self._unkept += [recorded.task.number for recorded in failed[:room]]
        elif failed:
            with self._changed:
                self._lines.extend((r.task.id, r.task.line + b"\n") for r in failed)
                self._bytes += sum(len(recorded.task.line) + 1 for recorded in failed)
                self._changed.notify()

    def unkept_numbers(self) -> tuple[int, ...]:
        """Line numbers of failed tasks, the first of them, where their lines go nowhere."""
        return tuple(sorted(number for number in self._unkept if number))

    def pending(self) -> tuple[int, int]:
        """Lines that wait to be written, and their bytes: the reader of new lines is held back."""
        return len(self._lines), self._bytes

    def one_pass(self) -> bool:
        """Write what is here, waiting for it; False when closed and all is written."""
        with self._changed:
            if self._retrying:
                self._changed.wait_for(lambda: self._closing, _RETRY_SECONDS)
            else:
                self._changed.wait_for(lambda: self._lines or self._closing)
            closing = self._closing
        if self._lines:
            self._write()
        return not closing or (bool(self._lines) and self._patient.is_set() and not self._retrying)

    def close(self, patient: bool) -> None:
        """Write what is here and end; if not `patient`, without waiting for a slow reader."""
        if not patient:
            self._patient.clear()
        with self._changed:
            self._closing = True
            self._changed.notify()

    def finish(self) -> int:
        """After the last pass: how many lines could not be written, having said so."""
        if self._lines and self._retrying:
            self._write()
        missing = len(self._lines) + self._dropped
        self._all_kept()
        try:
            self._sink.close()
        except OSError as error:
            log.error("cannot write %s: %s", self._sink.name, error.strerror)
            return max(missing, 1)
        if missing:
            log.error("%d failed lines could not be written to %s", missing, self._sink.name)
        return missing

    def _write(self) -> None:
        """Write the lines that are here; those that could not be stay."""
        with self._changed:
            lines = list(self._lines)
        data = b"".join([line for _, line in lines])[self._torn :]
        try:
            written = self._sink.write(data, self._patient)
            length = self._sink.settle()
            self._retrying = written < len(data)
        except OSError as error:
            self._retrying = True
            if not self._said:
                reason = os.strerror(error.errno or errno.EIO).lower()
                log.error("cannot write %s: %s; it is tried again", self._sink.name, reason)
                self._said = True
            self._drop_excess()
            return
        written += self._torn
        done = 0
        with self._changed:
            while self._lines and written >= len(self._lines[0][1]):
                size = len(self._lines.popleft()[1])
                written -= size
                self._bytes -= size
                done += 1
        self._torn = written
        if done:
            self._all_kept = self._printed([i for i, _ in lines[:done]], self._sink.path, length)
        if self._retrying:
            self._drop_excess()

    def _drop_excess(self) -> None:
        """Keep no more than there is room for; the first lines stay."""
        with self._changed:
            while self._bytes > MOST_KEPT_BYTES:
                self._bytes -= len(self._lines.pop()[1])
                self._dropped += 1
