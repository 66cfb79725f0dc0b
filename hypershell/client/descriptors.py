"""How many files a client needs to have open for its slots."""

from hypershell.core.errors import TooManySlots
from hypershell.core.units import counted
from hypershell.runtime.limits import (
    DescriptorLimit,
    descriptor_limit,
    may_open,
    raise_descriptor_limit,
)

_A_SLOT = 5  # two pipes, and what watches the task
_OWN = 50  # far more than a client has open beside them


def check_slots(slots: int) -> None:
    """Check that a client with this many slots could be started here; TooManySlots."""
    if not may_open(_needed(slots)):
        raise TooManySlots(slots=counted(slots, "slot"))


def take_descriptors(slots: int) -> DescriptorLimit | None:
    """Raise this process's limit to what this many slots need; TooManySlots.

    Returns what it was, which tasks get; None if it was enough.
    """
    given = descriptor_limit()
    if not raise_descriptor_limit(_needed(slots)):
        raise TooManySlots(slots=counted(slots, "slot"))
    return None if descriptor_limit() == given else given


def most_slots() -> int:
    """How many slots this process may have open files for, without a change of its limit."""
    return max(0, descriptor_limit().soft - _OWN) // _A_SLOT


def _needed(slots: int) -> int:
    return _A_SLOT * slots + _OWN
