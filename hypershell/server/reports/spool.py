"""Lines on their way to a sink, which may be slow, or full for a while."""

import errno
import logging
import os
from collections import deque
from collections.abc import Iterable, Sequence

from hypershell.core.units import counted
from hypershell.runtime import clock, threads
from hypershell.server.reports.sink import LineSink

log = logging.getLogger(__name__)

MAX_KEPT_BYTES = 64 * 2**20
"""Most bytes of lines that could not be written and wait to be tried again."""

LAST_TRY_SECONDS = 1.0
"""How long lines that cannot be written are tried again when nothing more comes."""

_RETRY_SECONDS = 1.0
_LAST_TRY_PAUSE = 0.1


class Spool:
    """A loop of its own writes what others put in: they never wait for it.

    A `durable` one counts lines as written only once they are on the disk. One that is not holds
    nobody back by what is `pending`, and drops what comes while it is full. `noun` is what a line
    is called; `loop_name` is the name of its loop.
    """

    loop_name: str

    def __init__(self, sink: LineSink, noun: str, durable: bool) -> None:
        self._sink = sink
        self._noun = noun
        self._durable = durable
        self._changed = threads.condition("spool")
        self._lines: deque[tuple[int, bytes]] = deque()  # the id of its task, and the line
        self._bytes = 0
        self._torn = 0  # bytes of the first line that are written already
        self._retrying = False
        self._closing = False
        self._is_prepared = False  # or is to be, which `_is_due` says
        self._is_due = False
        self._patient = threads.event()
        self._patient.set()
        self._said = False
        self._dropped = 0

    def pending(self) -> tuple[int, int]:
        """Lines that wait to be written, and their bytes."""
        return len(self._lines), self._bytes

    def one_pass(self) -> bool:
        """Write what is here, waiting for it; False when closed and all is written."""
        with self._changed:
            if self._retrying and not self._is_due:
                self._changed.wait_for(lambda: self._closing, _RETRY_SECONDS)
            else:
                self._changed.wait_for(lambda: self._lines or self._closing or self._is_due)
            closing = self._closing
            is_due, self._is_due = self._is_due, False
        if is_due:
            self.prepare()
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
        last_try = clock.monotonic() + LAST_TRY_SECONDS
        while self._has_failed():
            self._write()
            if not self._patient.is_set() or clock.monotonic() > last_try:
                break
            if self._has_failed():
                clock.sleep(_LAST_TRY_PAUSE)
        missing = len(self._lines) + self._dropped
        try:
            self._sink.close()
        except OSError as error:
            log.error("cannot write %s: %s", self._sink.name, error.strerror)
            return max(missing, 1)
        if missing:
            what = counted(missing, self._noun)
            log.error("%s could not be written to %s", what, self._sink.name)
        return missing

    def _has_failed(self) -> bool:
        return bool(self._lines) and self._retrying

    def add(self, lines: Iterable[tuple[int, bytes]]) -> None:
        """Add lines, each with its newline and the id of its task; returns at once."""
        added = list(lines)
        if not added:
            return
        with self._changed:
            self._demand_preparation()
            for each in added:
                if self._bytes > MAX_KEPT_BYTES and not self._durable:
                    self._dropped += 1
                    continue
                self._lines.append(each)
                self._bytes += len(each[1])
            self._changed.notify()

    def have_prepared(self) -> None:
        """Have the loop `prepare` the sink, once, before it writes the first line."""
        with self._changed:
            self._demand_preparation()
            self._changed.notify()

    def _demand_preparation(self) -> None:
        if not self._is_prepared:
            self._is_prepared = self._is_due = True

    def prepare(self) -> None:
        """There is something to report about: see that the sink has nothing of earlier runs."""

    def add_first(self, line: tuple[int, bytes]) -> None:
        """Add a line before all others; only while it prepares."""
        with self._changed:
            self._lines.appendleft(line)
            self._bytes += len(line[1])

    def written(self, task_ids: Sequence[int], length: int) -> None:
        """The lines of these tasks are out, and a file of ours is `length` bytes long."""

    def _write(self) -> None:
        """Write the lines that are here; those that could not be stay."""
        with self._changed:
            lines = list(self._lines)
        data = b"".join([line for _, line in lines])[self._torn :]
        try:
            written = self._sink.write(data, self._patient)
            length = self._sink.sync() if self._durable else 0
            self._retrying = written < len(data)
        except OSError as error:
            self._retrying = True
            if not self._said:
                reason = os.strerror(error.errno or errno.EIO).lower()
                log.error("cannot write %s: %s; retrying", self._sink.name, reason)
                self._said = True
            self._drop_excess()
            return
        if done := self._forget(written + self._torn):
            self.written([task_id for task_id, _ in lines[:done]], length)
        if self._retrying:
            self._drop_excess()

    def _forget(self, written: int) -> int:
        """Forget the lines that these bytes were; how many."""
        done = 0
        with self._changed:
            while self._lines and written >= len(self._lines[0][1]):
                size = len(self._lines.popleft()[1])
                written -= size
                self._bytes -= size
                done += 1
        self._torn = written
        return done

    def _drop_excess(self) -> None:
        """Drop the last lines while there are more than the limit allows."""
        with self._changed:
            while self._bytes > MAX_KEPT_BYTES:
                self._bytes -= len(self._lines.pop()[1])
                self._dropped += 1
