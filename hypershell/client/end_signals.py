"""What the signals that are to end a client mean in turn: a copy, a first Ctrl-C, or more.

Both the client and its supervisor ask, each of the signals that come to itself.
"""

import math
import signal

SAME_SIGNAL_SECONDS = 0.1
"""Seconds within which a second SIGINT counts as a copy of the first, say from a parent."""


class EndSignals:
    """The signals so far. It reads no clock; times are monotonic seconds."""

    def __init__(self) -> None:
        self._last_sigint = -math.inf
        self._was_told = False

    def is_copy(self, number: int, now: float) -> bool:
        """Whether a signal that came now is a SIGINT just after another."""
        if number != signal.SIGINT:
            return False
        before, self._last_sigint = self._last_sigint, now
        return now - before < SAME_SIGNAL_SECONDS

    def lets_finish(self, number: int) -> bool:
        """Whether running tasks may take their time to finish: for a SIGINT that is the first."""
        is_first, self._was_told = not self._was_told, True
        return is_first and number == signal.SIGINT
