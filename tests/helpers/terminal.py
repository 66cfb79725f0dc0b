"""A terminal, and what is shown on it."""

import contextlib
import fcntl
import os
import pty
import struct
import termios
import threading


class Terminal:
    """A terminal for processes, of some size, and all that was written to it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._shown: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        """What was written to it so far."""
        return b"".join(self._shown).decode("utf-8", "replace").replace("\r\n", "\n")

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # as its last user hangs up
            while data := os.read(self._ours, 65536):
                self._shown.append(data)

    def close(self) -> str:
        """All that was written to it, once nobody does any more."""
        os.close(self.theirs)
        self._reader.join(10)
        os.close(self._ours)
        return self.shown
