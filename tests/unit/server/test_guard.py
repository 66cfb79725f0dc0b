"""Clients on trial: what a bad machine fails, nobody is told before it is judged."""

from typing import Any

import pytest

from hypershell.core.retry import Policy
from hypershell.core.state import TaskState
from hypershell.runtime import clock
from hypershell.server.events import OutcomesRecorded, TasksChanged
from hypershell.server.state.guard import TRIAL_SECONDS, TRIAL_TASKS
from tests.helpers.fakes import ServerParts, failed, succeeded


@pytest.fixture
def later(monkeypatch):
    """Moves the monotonic clock on."""
    ahead = [0.0]
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


class Farm:
    """A server with some lines, and a good and a bad client."""

    def __init__(self, number: int = 60, **options: Any) -> None:
        lines = [b"%d" % n for n in range(number)]
        self.parts = ServerParts(*lines, guards=True, **options)
        self.parts.scheduled.most_for = self.parts.receiver._guard.most_for
        self.finals = self.parts.heard(OutcomesRecorded)
        self.good, self.bad = self.parts.join("good"), self.parts.join("bad")
        self.good_claims = self.parts.exchange(self.good, want=1).claims
        self.bad_claims = self.parts.exchange(self.bad, want=100).claims

    def fail(self, number: int = 1) -> None:
        """The bad client fails some of its tasks, and asks for more."""
        ended, self.bad_claims = self.bad_claims[:number], self.bad_claims[number:]
        self.bad_claims += self.parts.give(self.bad, *map(failed, ended)).claims

    def succeed(self) -> None:
        """The good client does one well."""
        claim = self.good_claims.pop(0)
        self.good_claims += self.parts.give(self.good, succeeded(claim)).claims

    def judge(self) -> None:
        """As the registry's loop does now and then."""
        self.parts.receiver._guard.judge()

    @property
    def failed(self) -> int:
        """How many tasks have failed, as reports hear of it."""
        states = [each.state for event in self.finals for each in event.recorded]
        assert states.count(TaskState.FAILED) == self.parts.store.counts().failed
        return states.count(TaskState.FAILED)


def test_a_bad_client_gets_ten_tasks_and_none_of_them_fails():
    """While another one succeeds: it is named and set aside, and its tasks run elsewhere."""
    farm = Farm()
    handed = len(farm.bad_claims)
    farm.succeed()

    farm.fail(TRIAL_TASKS)
    left = list(farm.bad_claims)
    while farm.good_claims:
        farm.succeed()
        farm.parts.scheduler.dispatch()

    assert (TRIAL_TASKS, []) == (handed, left)
    assert 0 == farm.failed
    assert 60 == farm.parts.store.counts().succeeded


def test_a_bad_client_is_set_aside_when_others_succeed_only_later():
    """Its failures came first."""
    farm = Farm()
    farm.fail(TRIAL_TASKS)
    before = farm.parts.store.counts().waiting

    farm.succeed()
    farm.succeed()
    (bad,) = [client for client in farm.parts.registry.clients() if client.host == "bad"]

    assert bad.is_set_aside
    assert 0 == farm.failed
    assert before - 2 <= farm.parts.store.counts().waiting + len(farm.good_claims)


def test_the_failures_of_a_client_count_once_it_has_a_success():
    """It was the lines."""
    farm = Farm()
    farm.fail(3)
    unconfirmed = farm.failed

    claim = farm.bad_claims.pop(0)
    farm.bad_claims += farm.parts.give(farm.bad, succeeded(claim)).claims
    farm.fail(1)

    assert (0, 4) == (unconfirmed, farm.failed)


def test_the_failures_of_a_client_count_when_nobody_succeeds(later):
    """After ten seconds it is taken to be the lines, and goes on at full speed."""
    farm = Farm()
    farm.fail(TRIAL_TASKS)
    unconfirmed = farm.failed

    later(TRIAL_SECONDS + 1)
    farm.judge()
    more = len(farm.parts.exchange(farm.bad).claims)

    assert (0, TRIAL_TASKS) == (unconfirmed, farm.failed)
    assert more > TRIAL_TASKS


def test_the_failures_of_the_only_client_left_count():
    """There is nobody to compare it with."""
    farm = Farm()
    farm.fail(4)
    unconfirmed = farm.failed

    farm.parts.leave(farm.good)
    farm.parts.receive()
    farm.judge()

    assert (0, 4) == (unconfirmed, farm.failed)


def test_a_client_alone_is_not_on_trial():
    """Nothing is held back."""
    parts = ServerParts(*[b"x"] * 20, guards=True)
    parts.scheduled.most_for = parts.receiver._guard.most_for
    client = parts.join()
    claims = parts.exchange(client, want=20).claims

    parts.give(client, *map(failed, claims))

    assert 20 == len(claims) == parts.store.counts().failed


def test_at_the_end_of_a_run_a_few_failures_are_judged_at_once():
    """Of three and more, while others succeed, the client is at fault; of fewer the lines."""
    counts = []
    for number in (2, 3):
        farm = Farm(number + 1)
        farm.fail(number)
        farm.succeed()
        counts.append(farm.failed)

    assert [2, 0] == counts


def test_a_task_with_a_retry_left_waits_as_ever():
    """Its failure is no secret."""
    farm = Farm(policy=Policy(max_retries=1))

    farm.fail(2)

    assert {} == farm.parts.store.unconfirmed()
    assert 2 == farm.parts.store.counts().retried


def test_an_unconfirmed_task_can_be_cancelled():
    """It waits, for all that people can see."""
    from hypershell.core.query.selection import Selection

    farm = Farm()
    farm.fail(1)
    (task_id,) = farm.parts.store._memory.unconfirmed

    changed = farm.parts.store.cancel(Selection(ids=(task_id,)))
    farm.parts.leave(farm.good)
    farm.parts.receive()
    farm.judge()

    assert (1, 0, 0) == tuple(changed)
    assert (1, 0) == (farm.parts.store.counts().cancelled, farm.failed)


def test_a_proven_client_is_judged_again_after_ten_fast_failures():
    """A machine that breaks later."""
    farm = Farm(400)
    claim = farm.bad_claims.pop(0)
    farm.bad_claims += farm.parts.give(farm.bad, succeeded(claim)).claims
    farm.succeed()

    for _ in range(TRIAL_TASKS):
        farm.fail(1)
    farm.succeed()
    farm.succeed()
    (bad,) = [client for client in farm.parts.registry.clients() if client.host == "bad"]

    assert TRIAL_TASKS - 1 == farm.failed
    assert bad.is_set_aside


def test_a_client_that_was_set_aside_can_be_trusted_again():
    """By `resume --client`."""
    farm = Farm()
    farm.fail(TRIAL_TASKS)
    farm.succeed()
    farm.succeed()
    (bad,) = [client for client in farm.parts.registry.clients() if client.host == "bad"]

    farm.parts.scheduled.hold(bad, held=False)

    assert not bad.is_set_aside
    assert farm.parts.exchange(farm.bad).claims


def test_failures_between_successes_are_none_in_a_row():
    """However many there are in what a client gives at once, as when it comes back."""
    farm = Farm(200)
    claim = farm.bad_claims.pop(0)
    farm.bad_claims += farm.parts.give(farm.bad, succeeded(claim)).claims
    farm.succeed()
    claims = farm.bad_claims[:90]
    mixed = [failed(c) if n % 5 else succeeded(c) for n, c in enumerate(claims)]

    farm.parts.give(farm.bad, *mixed)
    (bad,) = [client for client in farm.parts.registry.clients() if client.host == "bad"]

    assert len(claims) == 90
    assert not bad.is_set_aside
    assert 72 == farm.failed


def test_failures_that_others_have_as_well_are_no_ground():
    """As at the end of a run, where nothing but lines that failed before is tried again."""
    farm = Farm(200)
    farm.fail(9)
    for _ in range(6):
        farm.succeed()
        claim = farm.good_claims.pop(0)
        farm.good_claims += farm.parts.give(farm.good, failed(claim)).claims
    farm.fail(1)
    (bad,) = [client for client in farm.parts.registry.clients() if client.host == "bad"]

    assert not bad.is_set_aside


def test_what_fails_on_a_client_that_is_set_aside_goes_to_another_at_once():
    """It held more when it was; the scheduler hears that there is something to do."""
    farm = Farm()
    (last, *_) = farm.bad_claims[-1:]
    farm.fail(TRIAL_TASKS - 1)
    (bad,) = [client for client in farm.parts.registry.clients() if client.host == "bad"]
    bad.is_set_aside = bad.is_held = True
    changed = farm.parts.heard(TasksChanged)

    farm.parts.give(farm.bad, failed(last))
    farm.judge()

    assert changed
    assert {} == farm.parts.store.unconfirmed()
    assert 0 == farm.failed
