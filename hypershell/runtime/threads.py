"""Threads, and everything by which one waits for another: see `clock` for why.

Locks are made by `lock`, `rlock` and `condition`, each with its name in `lock_order.ORDER`; what
they return are plain locks of the standard library, unless the order is checked. The names with a
capital are their types, for annotations only. As with the clock, call `threads.lock(...)` and so
on through the module.
"""

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

from hypershell.runtime.lock_order import CheckedLock, rank_of
from hypershell.runtime.signals import leave_signals_alone, start_in_time

Lock = threading.Lock
RLock = threading.RLock
Condition = threading.Condition
Event = threading.Event
Thread = threading.Thread

Local = threading.local
"""What each thread has of its own."""

own_id = threading.get_ident
"""The number of this thread."""

T = TypeVar("T")

CHECK_VARIABLE = "HYPERSHELL_CHECK_LOCKS"
"""In the environment: check the order of locks, as tests do."""

_checked = bool(os.environ.get(CHECK_VARIABLE))


def check_lock_order(on: bool) -> None:
    """Whether locks that are made from now on check their order."""
    global _checked
    _checked = on


def lock(name: str) -> Lock:
    """A lock with this name in the order of locks; KeyError if it has none."""
    rank_of(name)
    plain = threading.Lock()
    return cast(Lock, CheckedLock(name, plain, reentrant=False)) if _checked else plain


def rlock(name: str) -> RLock:
    """The same; a thread that holds it may take it again."""
    rank_of(name)
    plain = threading.RLock()
    return cast(RLock, CheckedLock(name, plain, reentrant=True)) if _checked else plain


def condition(name: str) -> Condition:
    """A condition with a reentrant lock of its own, which has this name."""
    return threading.Condition(rlock(name))


def condition_on(lock: "Lock | RLock") -> Condition:
    """One more condition on a lock that others use too."""
    return threading.Condition(lock)


def event() -> Event:
    """Something that happens once, or again after `clear`."""
    return threading.Event()


def start_thread(name: str, run: Callable[[], object], stack_bytes: int = 0) -> Thread:
    """Call `run` in a thread of its own, which receives no signals and keeps no process alive.

    Its stack is as large as usual, or has `stack_bytes`. RuntimeError if it cannot be started.
    """

    def begin() -> None:
        leave_signals_alone()
        run()

    thread = threading.Thread(target=begin, name=name, daemon=True)
    before = threading.stack_size(stack_bytes) if stack_bytes else None
    try:
        start_in_time(thread)
    finally:
        if before is not None:
            threading.stack_size(before)
    return thread


class Latch:
    """Something that happens once, for less than an Event: closed until `open` is called."""

    __slots__ = ("_gate", "is_open")

    def __init__(self) -> None:
        # Held until it opens; those who wait pass it on among themselves from then on.
        self._gate = threading.Lock()
        self._gate.acquire()
        self.is_open = False
        """Whether it was opened. Not `locked()`: that is true while one who waited passes."""

    def open(self) -> None:
        """Let all go who wait, now and later; to be called once."""
        self.is_open = True
        self._gate.release()

    def wait(self) -> None:
        """Wait until it is open."""
        with self._gate:
            pass


class Inbox(Generic[T]):
    """What other threads tell one thread, which takes it in the same order.

    `put` takes no lock of ours, so it may be called with any lock held.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[T] = SimpleQueue()

    def put(self, thing: T) -> None:
        """Put something in; returns at once."""
        self._queue.put(thing)

    def get(self, timeout: float | None = None) -> T | None:
        """Take the next thing, waiting up to `timeout` seconds for it; None if none came."""
        try:
            return self._queue.get(timeout=timeout)
        except Empty:
            return None
