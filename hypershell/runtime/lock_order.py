"""Which lock may be taken while which is held, as data, and the check that tests turn on.

Every lock has a name in ORDER. A thread that holds one may take only locks that stand after it.
The check is off in production, where a lock made by `threads` is a plain lock of the standard
library; it is on where HYPERSHELL_CHECK_LOCKS is set in the environment.
"""

import threading
from typing import Protocol

ORDER = (
    # A server: who changes tasks, then who hands them out, then what they share.
    "dead clients",
    "guard",
    "changes",
    "scheduler",
    "capacity",
    "completion",
    "halting",
    "registry",
    "task store",
    "events",
    "orphans",
    "finished queue",
    "typical times",
    "late outcomes",
    "spool",
    "unwritten output",
    "plane server",
    "frame budget",
    # A client.
    "client session",
    "server link",
    "task buffer",
    # A task database.
    "database writer",
    # Any process.
    "descriptors",
    "log",
)
"""The names of all locks, outermost first. Two locks of one name are never held together."""

_RANKS = {name: rank for rank, name in enumerate(ORDER)}
_local = threading.local()


class LockOrderBroken(AssertionError):
    """A thread took a lock that must not be taken while it holds another."""


class _PlainLock(Protocol):
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...


def rank_of(name: str) -> int:
    """The place of a lock in ORDER; KeyError if it has none."""
    return _RANKS[name]


class CheckedLock:
    """A lock that raises LockOrderBroken before it is waited for in the wrong order.

    To try without waiting is always allowed: that cannot deadlock. It has what Condition needs.
    """

    def __init__(self, name: str, lock: _PlainLock, reentrant: bool) -> None:
        self.name = name
        self.rank = rank_of(name)
        self._lock = lock
        self._reentrant = reentrant

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; whether it was taken."""
        held = _held()
        if blocking and not (self._reentrant and self in held):
            for other in held:
                if other.rank >= self.rank:
                    raise LockOrderBroken(f'"{self.name}" taken while "{other.name}" is held')
        taken = self._lock.acquire(blocking, timeout)
        if taken:
            held.append(self)
        return taken

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()
        _held().remove(self)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    # What Condition calls, so that it lets go of a reentrant lock however often it is held.

    def _release_save(self) -> int:
        times = _held().count(self)
        for _ in range(times):
            self.release()
        return times

    def _acquire_restore(self, times: int) -> None:
        for _ in range(times):
            self.acquire()

    def _is_owned(self) -> bool:
        return self in _held()


def _held() -> list[CheckedLock]:
    """The locks that this thread holds, in the order in which it took them."""
    try:
        held: list[CheckedLock] = _local.held
    except AttributeError:
        held = _local.held = []
    return held
