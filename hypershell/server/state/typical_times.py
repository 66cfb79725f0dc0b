"""How long the tasks of a run take: the median of those that succeeded last."""

from bisect import bisect_left, insort
from collections import deque

from hypershell.runtime import threads
from hypershell.server.events import OutcomesRecorded

MIN_SUCCESSES = 3
"""Tasks that must have succeeded before their median says anything."""

_REMEMBERED = 1001


class TypicalTimes:
    """Safe to use from several threads. It begins to learn when it is asked for the first time.

    A look at each outcome would cost runs in which nobody asks.
    """

    def __init__(self) -> None:
        self._lock = threads.lock("typical times")
        self._is_wanted = False
        self._last: deque[float] = deque()
        self._sorted: list[float] = []

    def limit_of(self, share: str) -> float | None:
        """The seconds of a share such as `300%` of the median; None while too few are known."""
        self._is_wanted = True
        with self._lock:
            if len(self._sorted) < MIN_SUCCESSES:
                return None
            median = self._sorted[len(self._sorted) // 2]
        return max(median * int(share.removesuffix("%")) / 100, 0.001)

    def learn(self, event: OutcomesRecorded) -> None:
        """These have ended."""
        if not self._is_wanted:
            return
        with self._lock:
            for recorded in event.recorded:
                if recorded.outcome.ok:
                    self._add(recorded.outcome.seconds)

    def _add(self, seconds: float) -> None:
        self._last.append(seconds)
        insort(self._sorted, seconds)
        if len(self._last) > _REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]
