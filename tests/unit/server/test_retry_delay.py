"""Tasks whose next attempt waits for its time, while all else goes on."""

import pytest

from hypershell.core.retry import Policy
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime import clock
from hypershell.runtime.loop import Loop
from tests.helpers.fakes import ServerParts, commands, failed, succeeded
from tests.helpers.waiting import until

DELAYED = Policy(max_retries=5, eager=True, spec=TaskSpec(retry_delay=(10.0, 15.0)))


@pytest.fixture
def later(monkeypatch):
    """Moves the monotonic clock on."""
    ahead = [0.0]
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


def test_a_retry_waits_for_its_time_and_holds_up_nothing(later):
    """10 s after the first failure, and 15 s, the longest, after the second."""
    parts = ServerParts(b"a", b"b", b"c", policy=DELAYED)
    client = parts.join()
    (a,) = parts.exchange(client, want=1).claims
    (b,) = parts.give(client, failed(a), want=1).claims
    (c,) = parts.give(client, succeeded(b)).claims
    nothing = commands(parts.give(client, succeeded(c)))

    later(9.0)
    parts.scheduled.release_due()
    early = commands(parts.exchange(client))
    later(1.1)
    parts.scheduled.release_due()
    (again,) = parts.exchange(client).claims
    parts.give(client, failed(again))
    due = parts.scheduled.until_due()

    assert ([], []) == (nothing, early)
    assert (b"a", 2) == (again.command, again.attempt)
    assert due is not None
    assert 14.0 < due <= 15.0


def test_a_delayed_task_goes_before_what_came_after_it(later):
    """It has waited for longer."""
    parts = ServerParts(b"a", b"b", b"c", policy=DELAYED)
    client = parts.join()
    (a,) = parts.exchange(client, want=1).claims
    (b,) = parts.give(client, failed(a), want=1).claims

    later(11.0)
    parts.scheduled.release_due()

    assert [b"a"] == commands(parts.give(client, succeeded(b)))


def test_a_delayed_task_can_be_cancelled_and_is_given_back_at_the_end():
    """It is nobody's meanwhile."""
    parts = ServerParts(b"a", b"b", policy=DELAYED)
    client = parts.join()
    for claim in parts.exchange(client, want=2).claims:
        parts.give(client, failed(claim))

    size = parts.scheduled.size()
    cancelled = parts.scheduled.cancel([(1, 2)])
    drained = parts.scheduled.drain()

    assert 2 == size
    assert ([b"a"], [b"b"]) == ([t.line for t in cancelled], [t.line for t in drained])
    assert parts.scheduled.until_due() is None


def test_a_parked_call_gets_a_delayed_task_as_soon_as_it_is_due():
    """The scheduler's loop wakes by itself for it."""
    soon = TaskSpec(retry_delay=(0.3, 0.3))
    parts = ServerParts(b"a", policy=Policy(max_retries=1, eager=True, spec=soon))
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    loop = Loop("scheduler", parts.scheduler.one_pass, lambda *_: None, parts.scheduler.poke)
    loop.start()
    began = clock.monotonic()

    parts.give(client, failed(claim))
    call = parts.park(client)
    until(lambda: call.is_over(0.01), 5.0, "it has the task")
    seconds = clock.monotonic() - began
    loop.stop()

    assert [b"a"] == commands(call.result())
    assert 0.3 <= seconds < 3.0
