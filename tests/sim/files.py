"""The files of a simulated server: the lines that it reads, and the file of failed lines.

A machine that crashes may lose what was written to a file and not synced.
"""

from collections.abc import Callable
from typing import Any

from hypershell.core.errors import StartError
from hypershell.server.input.forms import TaskMaker
from hypershell.server.reports.sink import LineSink
from tests.sim import runtime

SLOW_SYNCS = 0.05
"""The share of writes that take the disk long."""


class LinesInTime:
    """Lines of an input, and when each of them is there to be read."""

    def __init__(self, lines: list[bytes], times: list[float]) -> None:
        self.lines = lines
        self.times = times


class SimReader:
    """See `hypershell.server.input.lines.LineReader`."""

    def __init__(self, lines: LinesInTime) -> None:
        self.path = "/sim/tasks"
        self.maker = TaskMaker()
        self.fingerprint = b""
        self.error: StartError | None = None
        self.ended = False
        self.lines_read = 0
        self._lines = lines
        self._woken = runtime.Event()

    def read(self, timeout: float | None) -> list[tuple[int, bytes]]:
        """The lines that are there, waiting for the first of them."""
        deadline = None if timeout is None else runtime.now() + timeout
        while not self._is_there():
            times, read = self._lines.times, self.lines_read
            due = times[read] - runtime.now()
            if deadline is not None and (deadline - runtime.now()) < due:
                due = deadline - runtime.now()
            if due <= 0 or self._woken.wait(due):
                self._woken.clear()
                break
        found: list[tuple[int, bytes]] = []
        while self._is_there() and not self.ended and len(found) < 64:
            if self.lines_read == len(self._lines.lines):
                if not found:
                    self.ended = True
                break
            found.append((self.lines_read + 1, self._lines.lines[self.lines_read]))
            self.lines_read += 1
        return found

    def _is_there(self) -> bool:
        read = self.lines_read
        return read == len(self._lines.lines) or self._lines.times[read] <= runtime.now()

    def skip(self, number: int, each: Callable[[bytes], None]) -> bool:
        """Skip lines that an earlier run has read."""
        for line in self._lines.lines[:number]:
            each(line)
        self.lines_read = min(number, len(self._lines.lines))
        return self.lines_read == number

    def refuse(self, number: int, reason: str) -> None:
        """No line of a world is one that cannot run."""
        raise AssertionError(f"line {number}: {reason}")

    def wake(self) -> None:
        """End the wait of a read."""
        self._woken.set()


class SimFile:
    """The file of failed lines, as it outlives servers."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = b""

    def lose_unsynced(self, share: float) -> None:
        """The machine crashes: some of what was not synced is lost, from the end."""
        if self.data.startswith(self.synced):
            kept = len(self.synced) + int((len(self.data) - len(self.synced)) * share)
            del self.data[kept:]
        else:
            self.data[:] = self.synced


class SimSink(LineSink):
    """See LineSink, for a file of ours."""

    def __init__(self, file: SimFile) -> None:
        super().__init__(None, "/sim/failed")
        self.is_wanted = True
        self._file = file

    def facts(self) -> tuple[bytes, int, int, int] | None:
        """Path, device, inode and size."""
        return self.path, 1, 1, len(self._file.data)

    def cut(self, length: int) -> None:
        """Cut the file to its first bytes."""
        del self._file.data[length:]

    @property
    def path(self) -> bytes:
        """Its absolute path."""
        return b"/sim/failed"

    def sync(self) -> int:
        """What was written is on the disk, mostly soon."""
        slow = runtime.chance.uniform(0.0, 1.0) < SLOW_SYNCS
        runtime.clock.sleep(runtime.chance.uniform(0.1, 1.5) if slow else 0.001)
        self._file.synced = bytes(self._file.data)
        return len(self._file.data)

    def write(self, data: bytes, keep_waiting: Any) -> int:
        """Write all of it."""
        runtime.clock.sleep(0.0001)
        self._file.data += data
        return len(data)

    def close(self) -> None:
        """Close it."""
