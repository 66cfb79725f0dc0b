"""What a supervisor knows of its client, and what it decides by that; it touches nothing itself."""

from collections.abc import Iterable

_SAME_SIGNAL_SECONDS = 0.1
"""Seconds within which a second SIGINT counts as a copy of the first, say from a parent."""


class Supervision:
    """The client as it reported, a line each through the pipe of `SupervisorPipe`."""

    def __init__(self) -> None:
        self.client_id = ""
        """Its identity at the server; empty until it has joined."""
        self._left = False
        self._paused = False
        self._lease_seconds = 0.0
        self._heard_at = 0.0
        self._unread = b""
        self._last_sigint = float("-inf")

    def hear(self, data: bytes) -> None:
        """Some bytes that came through the pipe; a line may come in pieces."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            match line.decode().split():
                case ["joined", client_id, lease, at]:
                    self.client_id = client_id
                    self._lease_seconds, self._heard_at = float(lease), float(at)
                case ["heard", at]:
                    self._heard_at = float(at)
                case ["stopped", at] if float(at) >= self._heard_at:
                    self._lease_seconds = 0.0  # until it has joined again
                case ["paused"]:
                    self._paused = True
                case ["resumed", at]:
                    self._heard_at, self._paused = float(at), False
                case ["left"]:
                    self._left = True

    @property
    def is_paused(self) -> bool:
        """Whether the tasks of the client stand still."""
        return self._paused

    def owes_leave(self) -> bool:
        """Whether the client, which is gone, never said that the server needs to hear no more."""
        return bool(self.client_id) and not self._left

    def remaining(self, now: float) -> float | None:
        """Seconds until all that the client runs must be killed; None if it need never be.

        `now` is the boot time (`clock.boottime`). Other clients may have the tasks then, less half
        of the client's own margin: it would have stopped its tasks itself before. While they stand
        still they need not be: the client knows, before they run on, whether they may.
        """
        if not self._lease_seconds or self._left or self._paused:
            return None
        margin = min(1.0, self._lease_seconds / 10) / 2
        return self._heard_at + self._lease_seconds - margin - now

    def give_up(self) -> None:
        """All that it ran was killed: its lease does not matter any more."""
        self._lease_seconds = 0.0

    def signals_to_forward(self, numbers: Iterable[int], sigint: int, now: float) -> list[int]:
        """Those of these signals, which came at this monotonic time, that the client is sent."""
        forwarded = []
        for number in numbers:
            if number == sigint:
                before, self._last_sigint = self._last_sigint, now
                if now - before < _SAME_SIGNAL_SECONDS:
                    continue
            forwarded.append(number)
        return forwarded
