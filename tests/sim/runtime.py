"""What stands in for `hypershell.runtime` while a world runs: clocks, chance, threads and waits.

Each has the interface of what it replaces, and blocks by giving way to other strands. Which
scheduler is meant is said by `enter`; there is one at a time.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar
from unittest import mock

from hypershell.runtime import chance, clock, lock_order, threads
from tests.sim.scheduler import Killed, Scheduler, Strand

EPOCH = 1.7e9
"""The wall time at which a world begins."""

T = TypeVar("T")

_scheduler: Scheduler
_keys = itertools.count(1)


class Lock:
    """A lock, reentrant or not."""

    __slots__ = ("_reentrant", "owner", "times", "waiting")

    def __init__(self, reentrant: bool = False) -> None:
        self._reentrant = reentrant
        self.owner: Strand | None = None
        self.times = 0
        self.waiting: deque[Strand] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; whether it was taken."""
        scheduler = _scheduler
        scheduler.until_preempted -= 1
        if scheduler.until_preempted <= 0:
            scheduler.step_aside()
        strand = scheduler.current
        if not self.times:  # as it mostly is
            self.owner, self.times = strand, 1
            return True
        if self.owner is strand and self._reentrant:
            self.times += 1
            return True
        while self.times:
            if not blocking:
                return False
            assert self.owner is not strand, "a strand waits for a lock that it holds"
            self.waiting.append(strand)
            if not scheduler.park(timeout if timeout >= 0 else None):
                self.waiting.remove(strand)
                return False
        self.owner, self.times = strand, 1
        return True

    def release(self) -> None:
        """Let go of it."""
        self.times -= 1
        if not self.times:
            self.owner = None
            if self.waiting:
                _scheduler.wake(self.waiting.popleft())

    def locked(self) -> bool:
        """Whether somebody has it."""
        return self.times > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    """A condition on a lock."""

    __slots__ = ("_lock", "_waiting", "acquire", "release")

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._waiting: deque[Strand] = deque()
        self.acquire = lock.acquire
        self.release = lock.release

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notice; whether one came in time."""
        lock, scheduler = self._lock, _scheduler
        strand = scheduler.current
        assert strand is not None
        assert lock.owner is strand
        times, lock.times, lock.owner = lock.times, 0, None
        if lock.waiting:
            scheduler.wake(lock.waiting.popleft())
        self._waiting.append(strand)
        woken = False
        try:
            woken = scheduler.park(timeout)
        finally:
            if not woken and strand in self._waiting:
                self._waiting.remove(strand)
            if not strand.process.is_dead:
                while lock.times:
                    lock.waiting.append(strand)
                    scheduler.park(None)
            lock.owner, lock.times = strand, times
        return woken

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until something holds; what it is in the end."""
        deadline = None if timeout is None else _scheduler.now + timeout
        result = predicate()
        while not result:
            remaining = None
            if deadline is not None:
                remaining = deadline - _scheduler.now
                if remaining <= 0:
                    break
            self.wait(remaining)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Wake as many as that."""
        assert self._lock.owner is _scheduler.current or _scheduler.current is None
        while n > 0 and self._waiting:
            _scheduler.wake(self._waiting.popleft())
            n -= 1

    def notify_all(self) -> None:
        """Wake all."""
        self.notify(len(self._waiting))


class Event:
    """Something that happens."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[Strand] = []

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._is_set

    def set(self) -> None:
        """It happens."""
        _scheduler.step_aside()
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        for strand in waiting:
            _scheduler.wake(strand)

    def clear(self) -> None:
        """It may happen again."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it; whether it has happened."""
        if self._is_set:
            return True
        strand = _scheduler.current
        assert strand is not None
        self._waiting.append(strand)
        if not _scheduler.park(timeout) and strand in self._waiting:
            self._waiting.remove(strand)
        return self._is_set


class Latch:
    """See `threads.Latch`."""

    __slots__ = ("_event", "is_open")

    def __init__(self) -> None:
        self._event = Event()
        self.is_open = False

    def open(self) -> None:
        """Let all go."""
        self.is_open = True
        self._event.set()

    def wait(self) -> None:
        """Wait until it is open."""
        self._event.wait()


class Inbox(Generic[T]):
    """See `threads.Inbox`."""

    def __init__(self) -> None:
        self._things: deque[T] = deque()
        self._waiting: Strand | None = None

    def put(self, thing: T) -> None:
        """Put something in."""
        self._things.append(thing)
        if self._waiting is not None:
            _scheduler.wake(self._waiting)
            self._waiting = None

    def get(self, timeout: float | None = None) -> T | None:
        """Take the next thing; None if none came in time."""
        deadline = None if timeout is None else _scheduler.now + timeout
        while not self._things:
            remaining = None if deadline is None else deadline - _scheduler.now
            if remaining is not None and remaining <= 0:
                return None
            self._waiting = _scheduler.current
            _scheduler.park(remaining)
            self._waiting = None
        return self._things.popleft()


class Local:
    """What each strand has of its own."""

    def __init__(self) -> None:
        object.__setattr__(self, "_key", next(_keys))

    def _mine(self) -> dict[str, Any]:
        strand = _scheduler.current
        if strand is None:
            raise Killed
        return strand.local.setdefault(object.__getattribute__(self, "_key"), {})

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mine()[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._mine()[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._mine()[name]
        except KeyError:
            raise AttributeError(name) from None


class Thread:
    """A strand, as `start_thread` returns it."""

    def __init__(self, strand: Strand) -> None:
        self._strand = strand

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return not self._strand.is_over

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        deadline = None if timeout is None else _scheduler.now + timeout
        while not self._strand.is_over:
            remaining = None if deadline is None else deadline - _scheduler.now
            if remaining is not None and remaining <= 0:
                return
            waiting = _scheduler.current
            assert waiting is not None
            self._strand.joining.append(waiting)
            if not _scheduler.park(remaining) and waiting in self._strand.joining:
                self._strand.joining.remove(waiting)


def _named_lock(name: str) -> Lock:
    lock_order.rank_of(name)
    return Lock()


def _named_rlock(name: str) -> Lock:
    lock_order.rank_of(name)
    return Lock(reentrant=True)


def _start_thread(name: str, run: Callable[[], object], stack_bytes: int = 0) -> Thread:
    current = _scheduler.current
    assert current is not None
    if current.process.is_dead:
        raise Killed
    return Thread(_scheduler.start(current.process, name, run))


def _own_id() -> int:
    current = _scheduler.current
    return 0 if current is None else current.number


def now() -> float:
    """The time of the world, in seconds from its beginning."""
    return _scheduler.now


def _monotonic() -> float:
    current = _scheduler.current
    return _scheduler.now - (0.0 if current is None else current.process.machine.suspended)


def _boottime() -> float:
    return _scheduler.now


def _wall() -> float:
    current = _scheduler.current
    offset = 0.0 if current is None else current.process.machine.wall_offset
    return EPOCH + _scheduler.now + offset


def _sleep(seconds: float) -> None:
    _scheduler.park(seconds)


def _uniform(low: float, high: float) -> float:
    return _scheduler.rng.uniform(low, high)


def _token_hex(size: int = 16) -> str:
    return _scheduler.rng.randbytes(size).hex()


_REPLACED: dict[Any, dict[str, Any]] = {
    clock: {"monotonic": _monotonic, "boottime": _boottime, "wall": _wall, "sleep": _sleep},
    chance: {"uniform": _uniform, "token_hex": _token_hex},
    threads: {
        "lock": _named_lock,
        "rlock": _named_rlock,
        "condition": lambda name: Condition(_named_rlock(name)),
        "condition_on": Condition,
        "event": Event,
        "start_thread": _start_thread,
        "Latch": Latch,
        "Inbox": Inbox,
        "Local": Local,
        "own_id": _own_id,
    },
}


@contextmanager
def replaced() -> Iterator[None]:
    """The runtime is a simulated one meanwhile; worlds are entered inside."""
    with mock.patch.dict("os.environ"):
        patches = [
            mock.patch.object(module, name, stand_in)
            for module, names in _REPLACED.items()
            for name, stand_in in names.items()
        ]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()


def enter(scheduler: Scheduler) -> None:
    """This one is meant from now on."""
    global _scheduler
    _scheduler = scheduler
