"""What a supervisor knows of its client, and what it decides by that; it touches nothing itself."""

import math
from collections.abc import Iterable

from hypershell.client.end_signals import EndSignals
from hypershell.core.lease import margin_seconds

_END_SECONDS = 8.0
"""Seconds that a client which is to end may take, beside the grace time: more than it takes itself
to see that it cannot.
"""


class Supervision:
    """The client as it reported, a line each through the pipe of `SupervisorPipe`."""

    def __init__(self) -> None:
        self.client_id = ""
        """Its identity at the server; empty until it has joined."""
        self.session = 0
        """Its session there."""
        self._left = False
        self._is_known = False  # to the server: it has heard that the client left
        self._grace_seconds = 0.0
        self._end_by = math.inf
        self._paused = False
        self._lease_seconds = 0.0
        self._heard_at = 0.0
        self._unread = b""
        self._end_signals = EndSignals()

    def hear(self, data: bytes) -> None:
        """Some bytes that came through the pipe; a line may come in pieces."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            match line.decode().split():
                case ["joined", client_id, session, lease, grace, at]:
                    self.client_id, self.session = client_id, int(session)
                    self._lease_seconds, self._grace_seconds = float(lease), float(grace)
                    self._heard_at = float(at)
                case ["heard", at]:
                    self._heard_at = float(at)
                case ["stopped", at] if float(at) >= self._heard_at:
                    self._lease_seconds = 0.0  # until it has joined again
                case ["paused"]:
                    self._paused = True
                case ["resumed", at]:
                    self._heard_at, self._paused = float(at), False
                case ["left", *known]:
                    self._left, self._is_known = True, known == ["known"]

    @property
    def is_paused(self) -> bool:
        """Whether the tasks of the client stand still."""
        return self._paused

    def owes_leave(self) -> bool:
        """Whether the client, which is gone, never said that the server needs to hear no more."""
        return bool(self.client_id) and not self._left

    def is_accounted_for(self) -> bool:
        """Whether the server has heard that the client left, if it ever knew it."""
        return self._is_known or not self.client_id

    def remaining(self, now: float) -> float | None:
        """Seconds until all that the client runs must be killed; None if it need never be.

        `now` is the boot time (`clock.boottime`). Other clients may have the tasks then, less half
        of the client's own margin: it would have stopped its tasks itself before. While they stand
        still they need not be: the client knows, before they run on, whether they may.
        """
        if not self._lease_seconds or self._left or self._paused:
            return None
        margin = margin_seconds(self._lease_seconds) / 2
        return self._heard_at + self._lease_seconds - margin - now

    def beat_due(self, now: float) -> bool:
        """Whether the server must hear that the client's tasks are still being ended."""
        lease = self._lease_seconds
        return self.owes_leave() and lease > 0 and now - self._heard_at > lease / 4

    def heard(self, now: float) -> None:
        """The server hears of the client at this boot time."""
        self._heard_at = now

    def told_to_end(self, number: int, now: float) -> None:
        """The client was sent a signal that ends it, at this monotonic time.

        A first SIGINT lets its tasks finish, however long they take.
        """
        if not self._end_signals.lets_finish(number):
            self._end_by = min(self._end_by, now + self._grace_seconds + _END_SECONDS)

    def end_remaining(self, now: float) -> float:
        """Seconds from this monotonic time until the client must have ended; perhaps endless."""
        return self._end_by - now

    def give_up(self) -> None:
        """All that it ran was killed: its lease does not matter any more."""
        self._lease_seconds = 0.0
        self._end_by = math.inf

    def signals_to_forward(self, numbers: Iterable[int], now: float) -> list[int]:
        """Those of these signals, which came at this monotonic time, that the client is sent."""
        return [number for number in numbers if not self._end_signals.is_copy(number, now)]
