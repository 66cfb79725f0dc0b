"""Which reports of a failure that repeats are worth a line in the log: the first, and then few."""

from hypershell.runtime import clock

_QUIET_SECONDS = 60.0
_MAX_SECONDS = 3600.0


class Seldom:
    """To be asked at each failure of one kind, by one thread.

    The first is due, then one after a minute, after two more, and so on up to one an hour. After a
    minute without any the next is a first one.
    """

    def __init__(self) -> None:
        self._last = -_QUIET_SECONDS
        self._told = 0.0
        self._pause = 0.0
        self._untold = 0

    def due(self) -> bool:
        """Whether this failure is to be reported."""
        now = clock.monotonic()
        if now - self._last >= _QUIET_SECONDS:
            self._pause, self._untold = 0.0, 0
        self._last = now
        if self._pause and now - self._told < self._pause:
            self._untold += 1
            return False
        self._told = now
        self._pause = min(self._pause * 2 or _QUIET_SECONDS, _MAX_SECONDS)
        return True

    def others(self) -> str:
        """How many were not reported since the last that was, for the end of a line; or nothing."""
        number, self._untold = self._untold, 0
        return f" ({number} more times since this was last reported)" if number else ""
