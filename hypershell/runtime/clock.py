"""The clocks of this machine, and sleep.

The state code of server and client reaches the time, random numbers (`chance`), threads and what
they wait by (`threads`) through this room and nothing else, so that a simulation can replace them.
Call them through the module, as in `clock.monotonic()`: then it is enough to bind another function
to the name here. The names are the functions of the standard library themselves, so a call costs
what it would cost there.
"""

import time

monotonic = time.monotonic
"""Seconds that never jump, from some moment on: for durations, deadlines and pauses."""

wall = time.time
"""Seconds since 1970, which may jump: to be shown and stored, never to be counted with."""

sleep = time.sleep
"""Block this thread for some seconds. Only where nothing tells when there is something to do."""


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


boottime = _boottime if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
"""Monotonic seconds that also pass while the machine is suspended: for leases, which the server
counts on another machine.
"""

LONGEST_WAIT = 86400.0
"""Seconds that one call of poll or epoll waits at most: they take no more than 24 days, and users
may give more. A longer wait is made of several.
"""


def poll_milliseconds(seconds: float | None) -> float | None:
    """A wait as poll takes it, not longer than it takes; None is for ever."""
    return None if seconds is None else min(max(0.0, seconds), LONGEST_WAIT) * 1000
