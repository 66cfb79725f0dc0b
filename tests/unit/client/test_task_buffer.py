"""The desk: when something is due, and what a client holds."""

import time

import pytest

from hypershell.client.prefetch import HORIZON_SECONDS, STALLED_SECONDS, Appetite
from hypershell.client.task_buffer import EXCESS_SECONDS, OLDEST_SECONDS, Desk
from hypershell.core.task import Claim, Ending, Outcome
from tests.helpers.fakes import Call


@pytest.fixture
def woken():
    """Each time the executor was woken."""
    return []


@pytest.fixture
def drained():
    """What was told when nothing ran any more."""
    return []


@pytest.fixture
def desk(woken, drained):
    """An empty desk of two slots, which has asked for claims already."""
    desk = Desk(2, lambda: woken.append(None), drained.append)
    desk.next_batch(0)
    desk.accepted(0.001)
    return desk


def claims(*numbers: int) -> list[Claim]:
    """Claims of these tasks."""
    return [Claim(number, 1, 1, b"true") for number in numbers]


def ended(*numbers: int, seconds: float = 10.0) -> list[Outcome]:
    """Outcomes of these tasks."""
    return [Outcome(number, 1, Ending.EXITED, seconds=seconds) for number in numbers]


def start(desk: Desk, *numbers: int) -> None:
    """Have these tasks come and start."""
    desk.put_claims(claims(*numbers))
    for number in numbers:
        assert number == desk.start_next().task_id


def test_a_new_desk_asks_for_as_many_as_there_are_slots(woken, drained):
    """At once: nothing is known of the tasks yet."""
    desk = Desk(2, lambda: woken.append(None), drained.append)

    assert ([], 2) == desk.next_batch(0)


def test_nothing_is_due_while_nothing_has_changed(desk):
    """The parked call hears all news; no other is made for nothing."""
    assert desk.next_batch(0.01) is None


def test_claims_start_in_the_order_in_which_they_came(desk):
    """And none twice."""
    desk.put_claims(claims(1, 2))
    desk.put_claims(claims(3))

    assert [1, 2, 3] == [desk.start_next().task_id for _ in range(3)]
    assert desk.start_next() is None


def test_the_executor_is_woken_when_it_waits_for_claims(desk, woken):
    """Once; while it is busy it looks by itself."""
    desk.start_next()
    desk.put_claims(claims(1))
    desk.put_claims(claims(2))

    assert [None] == woken


def test_an_executor_that_did_not_ask_is_not_woken(desk, woken):
    """It will."""
    desk.put_claims(claims(1))

    assert [] == woken


def test_nobody_is_woken_for_nothing(desk, woken):
    """An answer without claims is no news."""
    desk.start_next()
    desk.put_claims([])

    assert [] == woken


def test_an_outcome_is_due_at_once_when_there_is_nothing_to_run(desk):
    """With it the client asks for more."""
    start(desk, 1, 2)
    desk.put_outcomes(ended(1))

    assert (ended(1), 2) == desk.next_batch(0)


def test_an_outcome_waits_for_company_while_there_is_plenty_to_run(desk):
    """But not for long."""
    start(desk, 1, 2)
    desk.put_outcomes(ended(1, seconds=0.001))
    outcomes, want = desk.next_batch(0)
    desk.accepted(0.001)
    desk.put_claims(claims(*range(10, 10 + want)))
    begin = time.monotonic()
    desk.put_outcomes(ended(2, seconds=0.001))

    first = desk.next_batch(0)
    second = desk.next_batch(5.0)

    assert first is None
    assert ended(2, seconds=0.001) == second[0]
    assert OLDEST_SECONDS * 0.8 < time.monotonic() - begin < 2.0
    assert ended(1, seconds=0.001) == outcomes


def test_a_wait_for_a_batch_ends_when_something_is_due(desk):
    """A task has ended."""
    start(desk, 1)
    waiting = Call(desk.next_batch, 10.0)
    assert not waiting.is_over(0.02)

    desk.put_outcomes(ended(1))

    assert ended(1) == waiting.result()[0]


def test_what_was_not_accepted_goes_again_and_first(desk):
    """The connection broke before the answer came."""
    start(desk, 1, 2)
    desk.put_outcomes(ended(1))
    desk.next_batch(0)
    desk.put_outcomes(ended(2))

    desk.not_accepted()

    assert ended(1, 2) == desk.next_batch(0)[0]


def test_what_is_being_given_is_still_held(desk):
    """Until the server has accepted it."""
    start(desk, 1)
    desk.put_outcomes(ended(1))
    desk.next_batch(0)

    assert ((1, 1),) == desk.held()
    desk.accepted(0.001)
    assert () == desk.held()


def test_all_that_is_here_is_held(desk):
    """Ready, running, or ended."""
    start(desk, 1, 2)
    desk.put_claims(claims(3))
    desk.put_outcomes(ended(1))

    assert [(1, 1), (2, 1), (3, 1)] == sorted(desk.held())


def test_a_claim_that_could_not_be_started_stays_the_next(desk):
    """It was not begun."""
    desk.put_claims(claims(1, 2))
    claim = desk.start_next()

    desk.put_back(claim)

    assert 1 == desk.start_next().task_id


def test_what_is_dropped_is_not_started(desk):
    """And no outcome of it is given; what runs goes on."""
    start(desk, 1, 2)
    desk.put_claims(claims(3))
    desk.put_outcomes(ended(1))

    desk.drop([(1, 1), (2, 1), (3, 1)])

    assert ((2, 1),) == desk.held()
    assert desk.start_next() is None


def test_a_claim_of_another_lease_is_not_dropped(desk):
    """It is another claim."""
    desk.put_claims([Claim(1, 2, 1, b"true")])

    desk.drop([(1, 1)])

    assert ((1, 2),) == desk.held()


def test_a_drained_desk_gives_back_what_is_ready(desk):
    """In order, and asks for nothing."""
    start(desk, 1)
    desk.put_claims(claims(2, 3))

    desk.drain()

    outcomes, want = desk.next_batch(0)
    assert 0 == want
    assert [(2, Ending.GIVEN_BACK), (3, Ending.GIVEN_BACK)] == [
        (o.task_id, o.ending) for o in outcomes
    ]
    assert desk.start_next() is None


def test_claims_that_come_late_to_a_drained_desk_go_back(desk):
    """They were under way."""
    desk.drain()

    desk.put_claims(claims(1))

    assert [Ending.GIVEN_BACK] == [o.ending for o in desk.next_batch(0)[0]]


def test_drained_is_told_when_all_is_given(desk, drained):
    """First that nothing runs, then that nothing is left."""
    start(desk, 1)
    desk.drain()
    assert [] == drained

    desk.put_outcomes(ended(1))
    assert [False] == drained
    desk.next_batch(0)
    desk.accepted(0.001)

    assert [False, True] == drained


def test_an_empty_desk_is_drained_when_the_server_knows(desk, drained):
    """Until then a claim may be on its way."""
    desk.drain()
    assert [False] == drained

    assert ([], 0) == desk.next_batch(0)
    desk.accepted(0.001)

    assert [False, True] == drained


def test_a_batch_that_was_on_its_way_does_not_tell_the_server(desk, drained):
    """It asked for more."""
    start(desk, 1)
    desk.put_outcomes(ended(1))
    desk.next_batch(0)
    desk.drain()

    desk.accepted(0.001)
    assert True not in drained
    assert ([], 0) == desk.next_batch(0)


def test_a_claim_that_could_not_be_started_goes_back_from_a_drained_desk(desk):
    """Nobody would try it again."""
    desk.put_claims(claims(1))
    claim = desk.start_next()
    desk.drain()

    desk.put_back(claim)

    assert [Ending.GIVEN_BACK] == [o.ending for o in desk.next_batch(0)[0]]


def test_a_desk_that_holds_too_much_gives_some_back(desk):
    """Tasks turned out to be long, and another client may have nothing to do."""
    start(desk, 1, 2, 3)
    desk.put_claims(claims(*range(10, 20)))
    desk.put_outcomes(ended(1, seconds=60.0))
    desk.next_batch(0.2)
    desk.accepted(0.001)

    given_back: list[Outcome] = []
    deadline = time.monotonic() + 5.0
    while not given_back and time.monotonic() < deadline:
        given_back = (desk.next_batch(0.5) or ([], 0))[0]

    assert [Ending.GIVEN_BACK] * 10 == [o.ending for o in given_back]
    assert list(range(10, 20)) == [o.task_id for o in given_back]
    assert EXCESS_SECONDS < 5.0


def test_a_desk_that_begins_anew_holds_nothing(desk):
    """All that is here was of another run: what is ready, what runs, what has ended."""
    start(desk, 1, 2)
    desk.put_claims(claims(3))
    desk.put_outcomes(ended(1))
    desk.next_batch(0)

    desk.begin_anew(draining=False)

    assert () == desk.held()


def test_a_desk_that_begins_anew_asks_anew(desk):
    """The server that it joined has heard nothing yet."""
    desk.begin_anew(draining=False)

    assert ([], 2) == desk.next_batch(0)


def test_a_wait_until_nothing_runs_ends_with_the_last_task(desk):
    """Or when its time is over."""
    start(desk, 1)
    assert not desk.wait_until_stopped(0.01)
    waiting = Call(desk.wait_until_stopped, 10.0)

    desk.put_outcomes(ended(1))

    assert waiting.result()


def test_a_desk_with_work_is_not_idle(desk):
    """Nor one that has just ended some."""
    start(desk, 1)
    assert desk.idle_seconds() < 0.1

    desk.put_outcomes(ended(1))

    assert desk.idle_seconds() < 1.0


def test_nothing_is_fetched_ahead_before_a_task_has_ended():
    """It may take hours."""
    assert 0 == Appetite(8).ahead(100.0, 0.001)


def test_short_tasks_are_fetched_ahead_for_the_horizon():
    """As many as the slots run meanwhile."""
    appetite = Appetite(2)
    appetite.learn(0.01, 100.0)

    assert int(2 * HORIZON_SECONDS / 0.01) == appetite.ahead(100.0, 0.0)


def test_a_longer_way_asks_for_more():
    """The next claims come later."""
    appetite = Appetite(2)
    appetite.learn(0.01, 100.0)

    assert appetite.ahead(100.0, 0.1) > appetite.ahead(100.0, 0.001)


def test_long_tasks_are_not_fetched_ahead():
    """Another client may run them."""
    appetite = Appetite(2)
    appetite.learn(60.0, 100.0)

    assert 0 == appetite.ahead(100.0, 0.001)


def test_tasks_that_do_not_end_any_more_are_taken_for_long_ones():
    """Before the first of them has ended."""
    appetite = Appetite(2)
    appetite.learn(0.001, 100.0)

    assert appetite.ahead(100.0 + STALLED_SECONDS / 2, 0.001) > 100
    assert 0 == appetite.ahead(110.0, 0.001)


def test_a_claim_that_is_cancelled_before_it_began_ends_at_once(desk):
    """What runs is returned, to be stopped; the rest goes on."""
    start(desk, 1)
    desk.put_claims(claims(2, 3))

    running = desk.cancel([(1, 1), (2, 1)])

    outcomes, _ = desk.next_batch(1.0)
    assert [(1, 1)] == running
    assert [(2, Ending.CANCELLED)] == [(o.task_id, o.ending) for o in outcomes]
    assert 3 == desk.start_next().task_id


def test_a_claim_that_comes_after_its_cancel_is_not_begun(desk):
    """Answers to two calls may arrive in either order."""
    desk.cancel([(1, 1)])

    desk.put_claims(claims(1, 2))

    assert 2 == desk.start_next().task_id
    assert [(1, Ending.CANCELLED)] == [(o.task_id, o.ending) for o in desk.next_batch(1.0)[0]]


def test_a_cancel_under_another_lease_changes_nothing(desk):
    """It was for an earlier time that the task was out."""
    start(desk, 1)
    desk.put_claims(claims(2))

    assert [] == desk.cancel([(1, 2), (2, 2)])
    assert 2 == desk.start_next().task_id


def test_a_cancel_of_what_has_ended_changes_nothing(desk):
    """Its own outcome stands, and none is made up."""
    start(desk, 1)
    desk.put_outcomes(ended(1))

    assert [] == desk.cancel([(1, 1)])
    assert ended(1) == desk.next_batch(1.0)[0]


def test_what_must_be_dropped_and_runs_is_told(desk):
    """The rest is forgotten: nothing is said of it."""
    start(desk, 1)
    desk.put_claims(claims(2, 3))

    assert [(1, 1)] == desk.drop([(1, 1), (2, 1)])
    assert ((3, 1), (1, 1)) == desk.held()


def test_a_desk_asks_a_server_that_was_started_again_for_more(desk):
    """It has heard no number yet; a desk that was drained by the one before takes claims again."""
    start(desk, 1, 2)
    desk.drain()
    assert ([], 0) == desk.next_batch(0)
    desk.accepted(0.001)

    desk.go_on(draining=False)

    assert ([], 2) == desk.next_batch(0)
    assert ((1, 1), (2, 1)) == desk.held()


def test_a_batch_of_much_output_is_split(desk):
    """Far below what a frame may be; nothing is lost, and the next part does not wait."""
    start(desk, *range(1, 31))
    outcomes = [o._replace(out=bytes(2**20), err=bytes(2**20)) for o in ended(*range(1, 31))]
    desk.put_outcomes(outcomes)

    batches = []
    while len(desk.held()) > 0:
        batches.append(desk.next_batch(1.0)[0])
        desk.accepted(0.001)

    assert outcomes == [outcome for batch in batches for outcome in batch]
    assert 8 == len(batches)
