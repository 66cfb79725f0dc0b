"""What tasks print: through a pipe per slot to the client's own output, whole lines at a time.

A slot keeps its pipes from task to task, so that a task that prints nothing costs nothing. Lines
are passed on as they come, and no line is ever torn by another: one that is not finished is held
back, in memory while it is short and in a temporary file beyond that.
"""

import os
import tempfile
from collections.abc import Callable
from typing import IO

from hypershell.client.tasks.capture import Capture
from hypershell.client.tasks.target import Target, TryLock
from hypershell.core.outcome import STDERR_TAIL
from hypershell.core.unwritten import Unwritten
from hypershell.runtime import clock

MAX_IN_MEMORY = 1024 * 1024
"""Bytes of an unfinished line that are held in memory."""

_CHUNK = 64 * 1024
_MAX_IN_PIPE = 1024 * 1024  # pipe-max-size, pipe(7)
_LAST_TRY_PAUSE = 0.1

MAX_LEFT = 16
"""Pipes that are read for processes which tasks of `run` left behind: two for each of them."""

LAST_TRY_SECONDS = 1.0
"""How long output that cannot be written is tried again after the last task has ended."""


class Stream:
    """One slot's pipe for one of its outputs. `write_end` is what tasks are given.

    One that `keeps_tail` has the last of what was printed since `take_tail`.
    """

    def __init__(self, target: Target, keeps_tail: bool = False) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self._target = target
        self._keeps_tail = keeps_tail
        self._tail = b""
        self._held = bytearray()
        self._spilled: IO[bytes] | None = None

    def forward(self) -> bool:
        """Pass on what was printed so far, but for an unfinished line; False if it was nothing."""
        try:
            data = os.read(self.read_end, _CHUNK)
        except BlockingIOError:
            return False
        if self._keeps_tail:
            self._tail = (self._tail + data[-STDERR_TAIL:])[-STDERR_TAIL:]
        end = data.rfind(b"\n") + 1
        if end:
            self._release(data[:end])
        self._hold(data[end:])
        return True

    def finish(self) -> None:
        """The task has ended: pass on the rest of what it printed, its last line as a whole one."""
        # What it wrote is here by now; processes it left running may write forever.
        for _ in range(_MAX_IN_PIPE // _CHUNK):
            if not self.forward():
                break
        if self._held or self._spilled:
            self._release(b"\n")

    def take_tail(self) -> bytes:
        """The last that was printed, returned once."""
        tail, self._tail = self._tail, b""
        return tail

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read_end)
        os.close(self.write_end)

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) < MAX_IN_MEMORY:
            return
        try:
            if self._spilled is None:
                self._spilled = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            while self._held:
                del self._held[: self._spilled.write(self._held)]
        except OSError:
            # The line is too long to hold in memory: better torn than lost.
            self._release(b"")

    def _release(self, rest: bytes) -> None:
        """Pass on the beginning of the line that was held, and the rest of it, in one piece."""
        if self._spilled is None:
            self._target.write(self._held + rest)
            self._held.clear()
            return
        with self._target.undivided():
            self._spilled.seek(0)
            while piece := self._spilled.read(_CHUNK):
                self._target.write(piece)
            self._spilled.close()
            self._spilled = None
            self._target.write(self._held + rest)
        self._held.clear()


class Output:
    """The streams of all slots. `locks` keep what other clients write to the same places apart."""

    def __init__(
        self,
        out: int,
        err: int,
        slots: int,
        give_up: Callable[[], bool],
        locks: tuple[TryLock | None, TryLock | None] = (None, None),
    ) -> None:
        out_target = Target(out, give_up, locks[0])
        # One pipe for both where both end in the same place keeps the order of what is printed.
        err_target = out_target if _same_file(out, err) else Target(err, give_up, locks[1])
        self._targets = out_target, err_target
        self._give_up = give_up
        self.is_failing = False
        """Whether something could not be written when `retry` last looked."""
        self.has_ever_failed = False
        """Whether `unwritten` was anything at any time: the server may have heard of it."""
        self.unwritten: Unwritten | None = None
        """What could not be written so far, as of the last `retry`; None if all was.

        Changes before the outcome is given of the task that printed it. Any thread may read it.
        """
        self._pairs: list[tuple[Stream, Stream]] = []
        self.streams: dict[int, Stream] = {}
        self.add_slots(slots)
        self._unfinished: set[Stream] = set()
        self._captures: dict[int, Capture] = {}  # by descriptor, until nobody holds the other end
        self._captured: dict[int, tuple[Capture, Capture]] = {}  # by slot, while its task runs
        self._left: dict[int, None] = {}  # of tasks that ended, the longest silent first

    def add_slots(self, number: int) -> list[int]:
        """There are so many more slots: the descriptors to be watched for them. OSError."""
        out_target, err_target = self._targets
        new: list[int] = []
        for _ in range(number):
            first = Stream(out_target, keeps_tail=err_target is out_target)
            second = first if err_target is out_target else Stream(err_target, keeps_tail=True)
            self._pairs.append((first, second))
            for stream in {first, second}:
                self.streams[stream.read_end] = stream
                new.append(stream.read_end)
        return new

    def ends(self, slot: int) -> tuple[int, int]:
        """The descriptors that a task in this slot (from 1) is given as its output."""
        out, err = self._pairs[slot - 1]
        return out.write_end, err.write_end

    def capture(self, slot: int) -> tuple[Capture, Capture]:
        """Pipes for what the task in this slot prints, which is stored until `finish`."""
        out = Capture()
        try:
            pair = out, Capture()
        except OSError:
            out.close()
            out.started()
            raise
        self._captured[slot] = pair
        self._captures.update((capture.read_end, capture) for capture in pair)
        return pair

    def forward(self, descriptor: int) -> bool:
        """Pass on what came through this pipe; False if nothing more will come."""
        if (stream := self.streams.get(descriptor)) is not None:
            stream.forward()
            self._unfinished.add(stream)
            return True
        capture = self._captures.get(descriptor)
        if descriptor in self._left:
            del self._left[descriptor]
            self._left[descriptor] = None
        return capture is None or capture.forward() is not None

    def drop(self, descriptor: int) -> None:
        """Close a pipe through which nothing more will come, and that is not watched any more."""
        self._left.pop(descriptor, None)
        self._captures.pop(descriptor).close()

    def excess(self) -> list[int]:
        """Pipes of captured tasks that ended, and left processes behind, beyond MAX_LEFT.

        To be dropped: a process that prints to one of them finds that nobody reads it any more.
        They are those that have been silent longest, and may never print.
        """
        return list(self._left)[: max(0, len(self._left) - MAX_LEFT)]

    def finish(self, slot: int) -> tuple[bytes, bytes]:
        """The task in this slot has ended, and all that it printed was seen to be there.

        Returns what it printed, where that was captured; else the end of its errors.
        """
        if self._captured and (pair := self._captured.pop(slot, None)) is not None:
            self._left.update(dict.fromkeys(each.read_end for each in pair if not each.is_closed))
            return pair[0].finish(), pair[1].finish()
        pair_of_streams = self._pairs[slot - 1]
        for stream in pair_of_streams:
            if stream in self._unfinished:
                stream.finish()
                self._unfinished.discard(stream)
        return b"", pair_of_streams[1].take_tail()

    def has_failed(self) -> bool:
        """Whether something could not be written, and `retry` is to be called now and then."""
        out, err = self._targets
        return bool(out.error or err.error)

    def retry(self) -> float | None:
        """Try again what could not be written, if that is due; seconds until it is, if ever."""
        now = clock.monotonic()
        pauses = [pause for t in set(self._targets) if (pause := _retried(t, now)) is not None]
        self._sum_up(is_final=False)
        return min(pauses, default=None)

    def finish_writing(self) -> Unwritten | None:
        """All tasks have ended, and so has the executor: what could not be written, at last."""
        deadline = clock.monotonic() + LAST_TRY_SECONDS
        while [target for target in self._targets if not target.try_again()]:
            if self._give_up() or clock.monotonic() > deadline:
                break
            clock.sleep(_LAST_TRY_PAUSE)
        self._sum_up(is_final=True)
        return self.unwritten

    def _sum_up(self, is_final: bool) -> None:
        targets = set(self._targets)
        found = [each for target in targets if (each := target.unwritten()) is not None]
        self.is_failing = self.has_failed()
        if not found:
            self.unwritten = None
            return
        lines, size = sum(each.lines for each in found), sum(each.size for each in found)
        self.has_ever_failed = True
        self.unwritten = Unwritten(lines, size, found[0].reason, is_final)

    def close(self) -> None:
        """Close all pipes."""
        for stream in self.streams.values():
            stream.close()
        for descriptor in list(self._captures):
            self.drop(descriptor)


def _retried(target: Target, now: float) -> float | None:
    """Seconds until the next try of a target, once one that is due was made."""
    pause = target.retry_in(now)
    if pause == 0.0:
        target.try_again()
        pause = target.retry_in(now)
    return pause


def _same_file(first: int, second: int) -> bool:
    one, two = os.fstat(first), os.fstat(second)
    return (one.st_dev, one.st_ino, one.st_rdev) == (two.st_dev, two.st_ino, two.st_rdev)
