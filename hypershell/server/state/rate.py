"""How many tasks may be handed out at present, in a run that hands out so many a second at most.

Callers hold the lock of the scheduled queue. Time is monotonic, in seconds.
"""

import math

_BURST_SECONDS = 0.1
"""What may be caught up with at once: no more than a client fetches ahead."""


class Rate:
    """Tasks become free one after another; what nobody takes for a while is not saved up."""

    def __init__(self, a_second: float = math.inf) -> None:
        self._a_second = a_second
        self.is_limited = a_second != math.inf
        """Whether there is a limit at all."""
        self._next_at = -math.inf  # when the next one is free

    def number(self, now: float) -> int:
        """How many are free now."""
        self._next_at = max(self._next_at, now - _BURST_SECONDS)
        if now < self._next_at:
            return 0
        return 1 + math.floor((now - self._next_at) * self._a_second)

    def take(self, number: int) -> None:
        """So many were handed out, perhaps more than were free: later ones wait for that."""
        self._next_at += number / self._a_second

    def due_at(self) -> float:
        """When the next one is free."""
        return self._next_at
