"""Stores what a captured task prints, within bounds, for its outcome."""

import os

from hypershell.core.outcome import MAX_CAPTURED

_CHUNK = 64 * 1024
_MAX_IN_PIPE = 1024 * 1024  # pipe-max-size, pipe(7)


class Capture:
    """A pipe for one output of one task: its first bytes are stored, the rest is read and dropped.

    A pipe of its own: a process that an earlier task left running must not print
    into the output of another.
    """

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self._stored = bytearray()
        self._room = MAX_CAPTURED
        self.is_closed = False

    def forward(self) -> bool | None:
        """Take what was printed so far; False if it was nothing, None if nothing will come."""
        try:
            data = os.read(self.read_end, _CHUNK)
        except BlockingIOError:
            return False
        if self._room:
            self._stored += data[: self._room]
            self._room = max(0, self._room - len(data))
        return True if data else None

    def finish(self) -> bytes:
        """The task has ended: what it printed. Others that hold the pipe may go on, unheard."""
        for _ in range(0 if self.is_closed else _MAX_IN_PIPE // _CHUNK):
            if not self.forward():
                break
        stored, self._stored, self._room = bytes(self._stored), bytearray(), 0
        return stored

    def started(self) -> None:
        """The task has its end: only others hold it from now on, so that its end is seen."""
        os.close(self.write_end)

    def close(self) -> None:
        """Nothing more will come, or nobody wants it."""
        self.is_closed = True
        os.close(self.read_end)
