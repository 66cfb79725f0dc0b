"""How many descriptors this process may have open."""

import contextlib
import resource
import sys
from typing import NamedTuple

from hypershell.runtime import threads

opening = threads.lock("descriptors")
"""To be held while a descriptor is opened in any thread but the one that starts tasks: for the
moment in which it starts one, the limit of this process may be the lower one of the task. It may be
waited for, but nothing long may be done under it, but for the look-up of a name."""


class DescriptorLimit(NamedTuple):
    """How many descriptors a process may have open, and how far it may raise that itself."""

    soft: int
    hard: int

    def set(self) -> None:
        """Make it the limit of this process. Descriptors that are open stay open."""
        resource.setrlimit(resource.RLIMIT_NOFILE, self)


def descriptor_limit() -> DescriptorLimit:
    """The limit of this process."""
    return DescriptorLimit(*resource.getrlimit(resource.RLIMIT_NOFILE))


def raise_descriptor_limit(wanted: int | None = None) -> bool:
    """Raise the soft limit to what is wanted, or as far as it goes; whether it is enough.

    Processes that are started inherit it: one that starts others should want no more than it needs.
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
    """Whether a process that is started here could raise its limit to this many descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard == resource.RLIM_INFINITY or number <= hard
