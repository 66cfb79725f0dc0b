"""What a client is not given for now: what failed there, and directories that it cannot enter."""

import logging

import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime import clock
from hypershell.server.state import bundles as bundles_module
from hypershell.server.state.barriers import REFUSED_SECONDS
from hypershell.server.state.scheduled_queue import CAPACITY
from tests.helpers.fakes import ServerParts, commands, failed, succeeded

RETRYING = Policy(max_retries=3, eager=True)


def refused(claim: Claim) -> Outcome:
    """A client could not enter the directory of a task."""
    return Outcome(claim.task_id, claim.lease, Ending.NO_DIRECTORY, reason="no such directory")


@pytest.fixture
def later(monkeypatch):
    """Moves the monotonic clock on."""
    ahead = [0.0]
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


def test_a_task_that_failed_goes_to_another_client():
    """Even where the one that failed it asks first, and has nothing else to do."""
    parts = ServerParts(b"a", policy=RETRYING)
    bad, good = parts.join(), parts.join()
    (claim,) = parts.exchange(bad, want=1).claims
    parts.exchange(good, want=1)

    after = commands(parts.give(bad, failed(claim), want=1))

    assert [] == after
    assert [] == commands(parts.exchange(bad))
    assert [b"a"] == commands(parts.exchange(good))


def test_an_eager_retry_passes_over_the_client_that_failed_it():
    """What was read before still goes there."""
    parts = ServerParts(b"a", b"b", b"c", policy=Policy(max_retries=1, eager=True))
    bad, good = parts.join(), parts.join()
    (claim,) = parts.exchange(bad, want=1).claims
    parts.exchange(good, want=1)

    after = parts.give(bad, failed(claim), want=1)

    assert [b"c"] == commands(after)
    assert [b"a"] == commands(parts.exchange(good, want=2))


def test_a_task_that_failed_waits_for_a_slot_elsewhere():
    """The other client is full, and the one that failed it is not."""
    parts = ServerParts(b"a", b"b", policy=RETRYING)
    bad, good = parts.join(), parts.join()
    (claim,) = parts.exchange(bad, want=1).claims
    (busy,) = parts.exchange(good, want=1).claims
    parts.give(bad, failed(claim), want=1)

    waiting = commands(parts.exchange(bad))
    after = commands(parts.give(good, succeeded(busy)))

    assert ([], [b"a"]) == (waiting, after)


@pytest.mark.parametrize("gone", ["left", "wants nothing", "never came"])
def test_a_task_goes_to_the_client_that_failed_it_where_there_is_no_other(gone):
    """A run goes on with what it has."""
    parts = ServerParts(b"a", policy=RETRYING)
    bad = parts.join()
    (claim,) = parts.exchange(bad, want=1).claims
    if gone != "never came":
        other = parts.join()
        parts.exchange(other, want=0 if gone == "wants nothing" else 1)
        if gone == "left":
            parts.leave(other)

    assert [b"a"] == commands(parts.give(bad, failed(claim), want=1))


def test_a_parked_call_gets_the_task_once_the_other_clients_have_left():
    """It need not ask again."""
    parts = ServerParts(b"a", policy=RETRYING)
    bad, other = parts.join(), parts.join()
    (claim,) = parts.exchange(bad, want=1).claims
    parts.exchange(other, want=1)
    parts.give(bad, failed(claim), want=1)
    call = parts.park(bad)

    parts.leave(other)

    assert [b"a"] == commands(call.result())


def test_a_task_that_failed_everywhere_goes_to_any_client_but_the_last():
    """And to that one alone if there is no other."""
    parts = ServerParts(b"a", policy=RETRYING)
    first, second = parts.join(), parts.join()
    parts.exchange(second, want=0)
    (claim,) = parts.exchange(first, want=1).claims
    parts.exchange(second, want=1)
    parts.give(first, failed(claim), want=1)
    (claim,) = parts.exchange(second, want=1).claims

    after = commands(parts.give(second, failed(claim), want=1))

    assert [] == after
    assert [b"a"] == commands(parts.exchange(first))


def test_a_parked_call_that_may_not_have_a_task_lets_the_next_one_have_it():
    """Neither sleeps for ever, and neither wakes the other for ever."""
    parts = ServerParts(b"a", policy=RETRYING)
    bad, good = parts.join(), parts.join()
    (claim,) = parts.exchange(bad, want=1).claims
    parked = parts.park(bad, want=2)
    call = parts.park(good)

    parts.give(bad, failed(claim), want=-1)
    parts.scheduler.dispatch()

    assert [b"a"] == commands(call.result())
    assert not parked.is_over(0.05)


def test_what_is_kept_from_one_client_holds_up_nothing_else():
    """Later tasks go by."""
    parts = ServerParts(b"a", b"b", policy=RETRYING)
    bad, good = parts.join(), parts.join()
    (claim,) = parts.exchange(bad, want=1).claims
    (busy,) = parts.exchange(good, want=1).claims
    parts.give(bad, failed(claim), want=1)
    parts.scheduler.dispatch()
    parts.add(b"c")
    parts.scheduler.dispatch()

    assert [b"c"] == commands(parts.exchange(bad))
    assert [b"a"] == commands(parts.give(good, succeeded(busy)))


# Directories.


def test_a_directory_that_a_client_cannot_enter_is_kept_from_it(later):
    """For a while, and then it may try again. No attempt was made, and no retry is used up."""
    parts = ServerParts()
    parts.add(b"a", b"b", spec=TaskSpec(cwd="/gone"))
    parts.scheduler.dispatch()
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims

    at_once = commands(parts.give(client, refused(claim)))
    later(REFUSED_SECONDS - 1)
    before = commands(parts.exchange(client))
    later(1.5)
    again = parts.exchange(client).claims

    assert ([], []) == (at_once, before)
    assert [(b"a", 1)] == [(claim.command, claim.attempt) for claim in again]


def test_every_client_is_offered_a_directory():
    """One that cannot enter it says nothing about the others."""
    parts = ServerParts()
    parts.add(b"a", spec=TaskSpec(cwd="/gone"))
    parts.scheduler.dispatch()
    one, other = parts.join(), parts.join()
    (claim,) = parts.exchange(one, want=1).claims

    parts.give(one, refused(claim))

    assert [b"a"] == commands(parts.exchange(other, want=1))


def test_other_directories_go_to_a_client_that_refused_one(monkeypatch):
    """However many tasks of that one there are: more than the queue holds."""
    monkeypatch.setattr(bundles_module, "MAX_APART", 3 * CAPACITY)
    parts = ServerParts()
    parts.add(*[b"gone"] * (2 * CAPACITY), spec=TaskSpec(cwd="/gone"))
    parts.add(b"here", spec=TaskSpec(cwd="/here"))
    parts.scheduler.dispatch()
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims

    parts.give(client, refused(claim))
    for _ in range(3):
        parts.scheduler.dispatch()

    assert [b"here"] == commands(parts.exchange(client))


def test_tasks_that_nobody_can_take_are_not_leased_without_end(monkeypatch):
    """So many that stand apart, and then they count like all others."""
    monkeypatch.setattr(bundles_module, "MAX_APART", CAPACITY)
    parts = ServerParts()
    parts.add(*[b"gone"] * (4 * CAPACITY), spec=TaskSpec(cwd="/gone"))
    parts.scheduler.dispatch()
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims

    parts.give(client, refused(claim))
    for _ in range(5):
        parts.scheduler.dispatch()

    assert 2 * CAPACITY == parts.scheduled.size()


def test_a_directory_that_no_client_can_enter_is_named_once(caplog):
    """With what to do; and nothing is said while some client may still take its tasks."""
    parts = ServerParts()
    parts.add(b"a", b"b", spec=TaskSpec(cwd="/gone far"))
    parts.scheduler.dispatch()
    one, other = parts.join(), parts.join()
    claims = [parts.exchange(client, want=1).claims[0] for client in (one, other)]

    with caplog.at_level(logging.WARNING, "hypershell.server"):
        parts.give(one, refused(claims[0]), want=0)
        before = caplog.messages[:]
        parts.give(other, refused(claims[1]), want=0)
        parts.scheduled.say_what_is_closed()

    assert [] == before
    assert 1 == len(caplog.messages)
    assert "'/gone far'" in caplog.messages[0]
    assert "--cwd client" in caplog.messages[0]


def test_a_bundle_of_several_directories_is_parted():
    """A client gets those of its tasks that it may have."""
    parts = ServerParts(bundlesize=2)
    parts.add(b"a", spec=TaskSpec(cwd="/gone"))
    parts.add(b"b", spec=TaskSpec(cwd="/here"))
    parts.add(b"c", spec=TaskSpec(cwd="/gone"))
    parts.add(b"d", spec=TaskSpec(cwd="/here"))
    parts.scheduler.dispatch()
    client = parts.join()
    claims = parts.exchange(client, want=1).claims

    answer = parts.give(client, refused(claims[0]), succeeded(claims[1]), want=2)

    assert [b"d"] == commands(answer)
    assert 2 == parts.scheduled.size()


def test_what_stands_apart_can_be_cancelled_and_is_given_back_at_the_end():
    """It is in the queue like all the rest."""
    parts = ServerParts()
    parts.add(b"a", b"b", b"c", spec=TaskSpec(cwd="/gone"))
    parts.scheduler.dispatch()
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    parts.give(client, refused(claim), want=0)

    untaken = parts.scheduled.cancel([(2, 1)])
    rest = parts.scheduled.drain()

    assert [b"b"] == [task.line for task in untaken]
    assert [b"a", b"c"] == sorted(task.line for task in rest)
    assert 0 == parts.scheduled.size()
