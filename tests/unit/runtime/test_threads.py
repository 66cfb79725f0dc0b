"""Locks that know their order, and what threads wait by."""

import signal
import threading

import pytest

from hypershell.runtime import lock_order, signals, threads
from hypershell.runtime.lock_order import LockOrderBroken
from tests.helpers.fakes import Call
from tests.helpers.waiting import until

PROMPT = 5.0


@pytest.fixture(autouse=True)
def order(monkeypatch):
    """Three locks, the outer first."""
    monkeypatch.setattr(lock_order, "_RANKS", {"outer": 0, "middle": 1, "inner": 2})


def test_locks_may_be_taken_from_the_outside_in():
    """Any of them may be left out."""
    outer, inner = threads.lock("outer"), threads.condition("inner")

    with outer, inner:
        pass
    with inner:
        pass


@pytest.mark.parametrize("first", ["inner", "middle"])
def test_an_outer_lock_is_not_taken_inside_an_inner_one(first):
    """It raises before it waits, and says which; what is held is let go as usual."""
    outer, held = threads.lock("middle"), threads.lock(first)

    with held, pytest.raises(LockOrderBroken, match=f'"middle" taken while "{first}" is held'):
        outer.acquire()

    with outer:
        pass


def test_two_locks_of_one_name_are_not_held_together():
    """Nothing says which comes first."""
    one, other = threads.lock("inner"), threads.rlock("inner")

    with one, pytest.raises(LockOrderBroken):
        other.acquire()


def test_a_lock_is_not_taken_twice_by_one_thread():
    """It would wait for itself for ever."""
    lock = threads.lock("inner")

    with lock, pytest.raises(LockOrderBroken):
        lock.acquire()


def test_a_reentrant_lock_may_be_taken_again_inside_an_inner_one():
    """Its thread has it already, and waits for nobody."""
    outer, inner = threads.rlock("outer"), threads.lock("inner")

    with outer, inner, outer:
        pass
    with inner, pytest.raises(LockOrderBroken):
        outer.acquire()


def test_a_lock_may_be_tried_in_any_order():
    """That waits for nobody."""
    outer, inner = threads.lock("outer"), threads.lock("inner")

    with inner:
        assert outer.acquire(blocking=False)
        outer.release()


def test_each_thread_has_an_order_of_its_own():
    """What another holds does not matter."""
    outer, inner = threads.lock("outer"), threads.lock("inner")

    with inner:
        assert Call(outer.acquire).result(PROMPT)


def test_a_wait_lets_go_of_the_lock_however_often_it_is_held():
    """And takes it as often again; two conditions may be on one lock."""
    lock = threads.rlock("outer")
    condition, other = threads.condition_on(lock), threads.condition_on(lock)
    happened: list[str] = []

    def wait() -> bool:
        with condition, other:
            happened.append("waits")
            return condition.wait_for(lambda: "done" in happened, PROMPT)

    waiting = Call(wait)
    until(lambda: happened, PROMPT, "it waits")
    with condition:
        happened.append("done")
        condition.notify_all()

    assert waiting.result(PROMPT)
    with condition:
        pass


def test_a_lock_without_a_place_in_the_order_is_not_made():
    """Whether the order is checked or not."""
    for make in (threads.lock, threads.rlock, threads.condition):
        with pytest.raises(KeyError):
            make("nowhere")


def test_locks_are_plain_ones_where_nobody_checks():
    """In production the check costs nothing."""
    threads.check_lock_order(False)
    try:
        lock, rlock = threads.lock("inner"), threads.rlock("outer")
    finally:
        threads.check_lock_order(True)

    assert type(threading.Lock()) is type(lock)
    assert type(threading.RLock()) is type(rlock)


def test_all_who_wait_pass_a_latch_that_opens():
    """And all who come later, at once."""
    latch = threads.Latch()
    waiting = [Call(latch.wait) for _ in range(5)]
    assert not any(call.is_over(0.01) for call in waiting)

    latch.open()

    for call in waiting:
        call.result(PROMPT)
    latch.wait()
    assert latch.is_open


def test_an_inbox_keeps_the_order():
    """And says by None that nothing came in time."""
    inbox: threads.Inbox[int] = threads.Inbox()
    inbox.put(1)
    inbox.put(2)

    assert [1, 2, None] == [inbox.get(0.01) for _ in range(3)]


def test_a_thread_that_was_started_receives_no_signals():
    """They are for the main thread, or for the one that waits for them."""
    blocked: list[set[int]] = []
    thread = threads.start_thread("it", lambda: blocked.append(signal.pthread_sigmask(0, ())))
    thread.join(PROMPT)

    assert {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD} <= blocked[0]
    assert thread.daemon


def test_a_thread_that_ends_before_it_begins_is_not_waited_for(monkeypatch):
    """As one does for which there is no memory: `Thread.start` of Python waits for ever."""
    monkeypatch.setattr(signals, "START_SECONDS", 0.05)
    monkeypatch.setattr(threading.Thread, "_bootstrap", lambda self: None)

    with pytest.raises(RuntimeError, match="can't start new thread"):
        threads.start_thread("early", lambda: None)
