"""How far ahead a client fetches: enough that no slot waits, nothing that another could run.

Pure arithmetic on what the client measures; it reads no clock.
"""

HORIZON_SECONDS = 0.1
"""Seconds of work to have ready: some round trips, but not so much that other clients starve."""

STALLED_SECONDS = 0.2
"""Without any task ending, after which tasks are taken to be as long as that lasts."""

MAX_AHEAD = 4000

_WEIGHT = 0.25  # of the newest duration in the running mean


class Prefetch:
    """Learns how long tasks take, and tells how many to hold beside those that run."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._mean_seconds: float | None = None
        self._last_end = 0.0

    def set_slots(self, slots: int) -> None:
        """So many tasks run at a time from now on."""
        self._slots = slots

    def learn(self, seconds: float, now: float) -> None:
        """A task took this long and ended now."""
        self._last_end = now
        if self._mean_seconds is None:
            self._mean_seconds = seconds
        else:
            self._mean_seconds += _WEIGHT * (seconds - self._mean_seconds)

    def ahead(self, now: float, round_trip_seconds: float) -> int:
        """How many tasks to hold beyond the slots; 0 until the first has ended."""
        if self._mean_seconds is None:
            return 0
        expected = self._mean_seconds
        if now - self._last_end > STALLED_SECONDS:
            expected = max(expected, now - self._last_end)
        horizon = HORIZON_SECONDS + 2 * round_trip_seconds
        return min(int(self._slots * horizon / max(expected, 1e-6)), MAX_AHEAD)
