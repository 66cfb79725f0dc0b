"""What tasks print: through a pipe per slot to the client's own output, whole lines at a time.

A slot keeps its pipes from task to task, so that a task that prints nothing costs nothing. Lines
are passed on as they come, and no line is ever torn by another: one that is not finished is held
back, in memory while it is short and in a temporary file beyond that.
"""

import errno
import os
import select
import stat
import tempfile
from collections.abc import Callable
from typing import IO

LONGEST_IN_MEMORY = 1024 * 1024
"""Bytes of an unfinished line that are held in memory."""

_CHUNK = 64 * 1024
_MOST_IN_PIPE = 1024 * 1024  # pipe-max-size, pipe(7)
_PIPE_BYTES = 4096  # what a pipe or terminal that polls as writable takes without blocking


class Target:
    """Where output goes in the end. Once it cannot be written, output is dropped.

    `give_up` tells whether waiting for a slow reader is over.
    """

    def __init__(self, descriptor: int, give_up: Callable[[], bool]) -> None:
        self.descriptor = descriptor
        self.broken = 0  # the errno for which output is dropped
        self._give_up = give_up
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLOUT)

    def write(self, data: bytes | bytearray) -> None:
        """Write all of it, waiting for a slow reader."""
        written = 0
        while written < len(data) and not self.broken:
            if not self._regular and not self._poller.poll(200):
                if self._give_up():
                    return
                continue
            try:
                end = len(data) if self._regular else self._end_of_piece(data, written)
                with memoryview(data) as view:
                    written += os.write(self.descriptor, view[written:end])
            except BlockingIOError:
                continue
            except OSError as error:
                self.broken = error.errno or errno.EIO

    @staticmethod
    def _end_of_piece(data: bytes | bytearray, start: int) -> int:
        """Where a piece that goes in one write ends: after a line, so that no other can tear it."""
        return data.rfind(b"\n", start, start + _PIPE_BYTES) + 1 or start + _PIPE_BYTES


class Stream:
    """One slot's pipe for one of its outputs. `write_end` is what tasks are given."""

    def __init__(self, target: Target) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self._target = target
        self._held = bytearray()
        self._spilled: IO[bytes] | None = None

    def forward(self) -> bool:
        """Pass on what was printed so far, but for an unfinished line; False if it was nothing."""
        try:
            data = os.read(self.read_end, _CHUNK)
        except BlockingIOError:
            return False
        end = data.rfind(b"\n") + 1
        if end:
            self._release(data[:end])
        self._hold(data[end:])
        return True

    def finish(self) -> None:
        """The task has ended: pass on the rest of what it printed, its last line as a whole one."""
        # What it wrote is here by now; what it left behind may go on writing without end.
        for _ in range(_MOST_IN_PIPE // _CHUNK):
            if not self.forward():
                break
        if self._held or self._spilled:
            self._release(b"\n")

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read_end)
        os.close(self.write_end)

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) < LONGEST_IN_MEMORY:
            return
        try:
            if self._spilled is None:
                self._spilled = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            while self._held:
                del self._held[: self._spilled.write(self._held)]
        except OSError:
            # No room to hold so long a line: better torn than lost.
            self._release(b"")

    def _release(self, rest: bytes) -> None:
        """Pass on the beginning of the line that was held, and the rest of it, in one piece."""
        if self._spilled is not None:
            self._spilled.seek(0)
            while piece := self._spilled.read(_CHUNK):
                self._target.write(piece)
            self._spilled.close()
            self._spilled = None
        self._target.write(self._held + rest)
        self._held.clear()


class Output:
    """The streams of all slots."""

    def __init__(self, out: int, err: int, slots: int, give_up: Callable[[], bool]) -> None:
        out_target = Target(out, give_up)
        # One pipe for both where both end in the same place keeps the order of what is printed.
        err_target = out_target if _same_file(out, err) else Target(err, give_up)
        self._targets = {out_target, err_target}
        self._pairs: list[tuple[Stream, Stream]] = []
        for _ in range(slots):
            first = Stream(out_target)
            self._pairs.append((first, first if err_target is out_target else Stream(err_target)))
        self.streams = {stream.read_end: stream for pair in self._pairs for stream in pair}
        self._unfinished: set[Stream] = set()

    def ends(self, slot: int) -> tuple[int, int]:
        """The descriptors that a task in this slot (from 1) is given as its output."""
        out, err = self._pairs[slot - 1]
        return out.write_end, err.write_end

    def forward(self, descriptor: int) -> None:
        """Pass on what came through this pipe."""
        stream = self.streams[descriptor]
        stream.forward()
        self._unfinished.add(stream)

    def finish(self, slot: int) -> None:
        """The task in this slot has ended, and all that it printed was seen to be there."""
        for stream in self._pairs[slot - 1]:
            if stream in self._unfinished:
                stream.finish()
                self._unfinished.discard(stream)

    def error(self) -> int:
        """The errno for which output is dropped, 0 if it is not or its reader just went away."""
        broken = [target.broken for target in self._targets if target.broken != errno.EPIPE]
        return max(broken, default=0)

    def close(self) -> None:
        """Close all pipes."""
        for stream in self.streams.values():
            stream.close()


def _same_file(first: int, second: int) -> bool:
    one, two = os.fstat(first), os.fstat(second)
    return (one.st_dev, one.st_ino, one.st_rdev) == (two.st_dev, two.st_ino, two.st_rdev)
