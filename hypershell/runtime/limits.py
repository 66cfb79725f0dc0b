"""How many descriptors this process may have open."""

import contextlib
import resource
import sys


def raise_descriptor_limit(wanted: int | None = None) -> bool:
    """Raise the soft limit to what is wanted, or as far as it goes; whether it is enough.

    Processes that are started inherit it: who starts others should want no more than is needed.
    """
    soft, hard = (
        sys.maxsize if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    goal = hard if wanted is None else min(wanted, hard)
    if goal > soft:
        limits = [resource.RLIM_INFINITY if n == sys.maxsize else n for n in (goal, hard)]
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0], limits[1]))
            soft = goal
    return wanted is None or soft >= wanted


def may_open(number: int) -> bool:
    """Whether a process that is started here could raise its limit to so many descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard == resource.RLIM_INFINITY or number <= hard
