"""The task buffer: when something is due, and what a client holds."""

import time

import pytest

from hypershell.client.begun_table import BegunTable
from hypershell.client.prefetch import HORIZON_SECONDS, STALLED_SECONDS, Prefetch
from hypershell.client.task_buffer import EXCESS_SECONDS, OLDEST_SECONDS, TaskBuffer
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.runtime import clock
from tests.helpers.fakes import Call


@pytest.fixture
def woken():
    """Each time the executor was woken."""
    return []


@pytest.fixture
def drained():
    """What was reported when nothing ran any more."""
    return []


@pytest.fixture
def buffer(woken, drained):
    """An empty buffer of two slots, which has asked for claims already."""
    buffer = TaskBuffer(2, lambda: woken.append(None), drained.append)
    buffer.next_batch(0)
    buffer.accepted(0.001)
    return buffer


def claims(*numbers: int) -> list[Claim]:
    """Claims of these tasks."""
    return [Claim(number, 1, 1, b"true") for number in numbers]


def ended(*numbers: int, seconds: float = 10.0) -> list[Outcome]:
    """Outcomes of these tasks."""
    return [Outcome(number, 1, Ending.EXITED, seconds=seconds) for number in numbers]


def start(buffer: TaskBuffer, *numbers: int) -> None:
    """Have these tasks come and start."""
    buffer.put_claims(claims(*numbers))
    for number in numbers:
        assert number == buffer.start_next().task_id


def test_a_new_buffer_asks_for_as_many_as_there_are_slots(woken, drained):
    """At once: nothing is known of the tasks yet."""
    buffer = TaskBuffer(2, lambda: woken.append(None), drained.append)

    assert ([], 2, []) == buffer.next_batch(0)


def test_nothing_is_due_while_nothing_has_changed(buffer):
    """The parked call hears all news; no other is made for nothing."""
    assert buffer.next_batch(0.01) is None


def test_claims_start_in_the_order_in_which_they_came(buffer):
    """And none twice."""
    buffer.put_claims(claims(1, 2))
    buffer.put_claims(claims(3))

    assert [1, 2] == [buffer.start_next().task_id for _ in range(2)]
    assert buffer.start_next() is None
    buffer.put_outcomes(ended(1))
    assert 3 == buffer.start_next().task_id


def test_the_executor_is_woken_when_it_waits_for_claims(buffer, woken):
    """Once; while it is busy it looks by itself."""
    buffer.start_next()
    buffer.put_claims(claims(1))
    buffer.put_claims(claims(2))

    assert [None] == woken


def test_an_executor_that_did_not_ask_is_not_woken(buffer, woken):
    """It will."""
    buffer.put_claims(claims(1))

    assert [] == woken


def test_nobody_is_woken_for_nothing(buffer, woken):
    """An answer without claims is no news."""
    buffer.start_next()
    buffer.put_claims([])

    assert [] == woken


def test_an_outcome_is_due_at_once_when_there_is_nothing_to_run(buffer):
    """With it the client asks for more."""
    start(buffer, 1, 2)
    buffer.put_outcomes(ended(1))

    assert (ended(1), 2, []) == buffer.next_batch(0)


def test_an_outcome_waits_for_company_while_there_is_plenty_to_run(buffer):
    """But not for long."""
    start(buffer, 1, 2)
    buffer.put_outcomes(ended(1, seconds=0.001))
    outcomes, want, _ = buffer.next_batch(0)
    buffer.accepted(0.001)
    buffer.put_claims(claims(*range(10, 10 + want)))
    begin = time.monotonic()
    buffer.put_outcomes(ended(2, seconds=0.001))

    first = buffer.next_batch(0)
    second = buffer.next_batch(5.0)

    assert first is None
    assert ended(2, seconds=0.001) == second[0]
    assert OLDEST_SECONDS * 0.8 < time.monotonic() - begin < 2.0
    assert ended(1, seconds=0.001) == outcomes


def test_a_wait_for_a_batch_ends_when_something_is_due(buffer):
    """A task has ended."""
    start(buffer, 1)
    waiting = Call(buffer.next_batch, 10.0)
    assert not waiting.is_over(0.02)

    buffer.put_outcomes(ended(1))

    assert ended(1) == waiting.result()[0]


def test_what_was_not_accepted_goes_again_and_first(buffer):
    """The connection broke before the answer came."""
    start(buffer, 1, 2)
    buffer.put_outcomes(ended(1))
    buffer.next_batch(0)
    buffer.put_outcomes(ended(2))

    buffer.not_accepted()

    assert ended(1, 2) == buffer.next_batch(0)[0]


def test_what_is_being_given_is_still_held(buffer):
    """Until the server has accepted it."""
    start(buffer, 1)
    buffer.put_outcomes(ended(1))
    buffer.next_batch(0)

    assert ((1, 1, True),) == buffer.held()
    buffer.accepted(0.001)
    assert () == buffer.held()


def test_all_that_is_here_is_held(buffer):
    """Ready, running, or ended."""
    start(buffer, 1, 2)
    buffer.put_claims(claims(3))
    buffer.put_outcomes(ended(1))

    assert [(1, 1, True), (2, 1, True), (3, 1, False)] == sorted(buffer.held())


def test_a_claim_that_could_not_be_started_stays_the_next(buffer):
    """It was not begun."""
    buffer.put_claims(claims(1, 2))
    claim = buffer.start_next()

    buffer.put_back(claim)

    assert 1 == buffer.start_next().task_id


def test_what_is_dropped_is_not_started(buffer):
    """And no outcome of it is given; what runs goes on."""
    start(buffer, 1, 2)
    buffer.put_claims(claims(3))
    buffer.put_outcomes(ended(1))

    buffer.drop([(1, 1), (2, 1), (3, 1)])

    assert ((2, 1, True),) == buffer.held()
    assert buffer.start_next() is None


def test_a_claim_of_another_lease_is_not_dropped(buffer):
    """It is another claim."""
    buffer.put_claims([Claim(1, 2, 1, b"true")])

    buffer.drop([(1, 1)])

    assert ((1, 2, False),) == buffer.held()


def test_a_drained_buffer_gives_back_what_is_ready(buffer):
    """In order, and asks for nothing."""
    start(buffer, 1)
    buffer.put_claims(claims(2, 3))

    buffer.drain()

    outcomes, want, _ = buffer.next_batch(0)
    assert 0 == want
    assert [(2, Ending.GIVEN_BACK), (3, Ending.GIVEN_BACK)] == [
        (o.task_id, o.ending) for o in outcomes
    ]
    assert buffer.start_next() is None


def test_claims_that_come_late_to_a_drained_buffer_go_back(buffer):
    """They were under way."""
    buffer.drain()

    buffer.put_claims(claims(1))

    assert [Ending.GIVEN_BACK] == [o.ending for o in buffer.next_batch(0)[0]]


def test_drained_is_reported_when_all_is_given(buffer, drained):
    """First that nothing runs, then that nothing is left."""
    start(buffer, 1)
    buffer.drain()
    assert [] == drained

    buffer.put_outcomes(ended(1))
    assert [False] == drained
    buffer.next_batch(0)
    buffer.accepted(0.001)

    assert [False, True] == drained


def test_an_empty_buffer_is_drained_when_the_server_knows(buffer, drained):
    """Until then a claim may be on its way."""
    buffer.drain()
    assert [False] == drained

    assert ([], 0, []) == buffer.next_batch(0)
    buffer.accepted(0.001)

    assert [False, True] == drained


def test_a_batch_that_was_on_its_way_does_not_tell_the_server(buffer, drained):
    """It asked for more."""
    start(buffer, 1)
    buffer.put_outcomes(ended(1))
    buffer.next_batch(0)
    buffer.drain()

    buffer.accepted(0.001)
    assert True not in drained
    assert ([], 0, []) == buffer.next_batch(0)


def test_a_claim_that_could_not_be_started_goes_back_from_a_drained_buffer(buffer):
    """Nobody would try it again."""
    buffer.put_claims(claims(1))
    claim = buffer.start_next()
    buffer.drain()

    buffer.put_back(claim)

    assert [Ending.GIVEN_BACK] == [o.ending for o in buffer.next_batch(0)[0]]


def test_a_buffer_that_holds_too_much_gives_some_back(buffer):
    """Tasks turned out to be long, and another client may have nothing to do."""
    start(buffer, 1, 2)
    buffer.put_outcomes(ended(1, seconds=60.0))
    start(buffer, 3)
    buffer.put_claims(claims(*range(10, 20)))
    buffer.next_batch(0.2)
    buffer.accepted(0.001)

    given_back: list[Outcome] = []
    deadline = time.monotonic() + 5.0
    while not given_back and time.monotonic() < deadline:
        given_back = (buffer.next_batch(0.5) or ([], 0))[0]

    assert [Ending.GIVEN_BACK] * 10 == [o.ending for o in given_back]
    assert list(range(10, 20)) == [o.task_id for o in given_back]
    assert EXCESS_SECONDS < 5.0


def test_all_is_accepted_when_the_server_has_what_began(buffer):
    """The answer that says so may come after another that says that the run is over."""
    start(buffer, 1)
    buffer.put_outcomes(ended(1))
    buffer.next_batch(0)
    assert not buffer.wait_until_accepted(0.0)
    waiting = Call(buffer.wait_until_accepted, 10.0)

    buffer.accepted(0.001)

    assert waiting.is_over(5.0)
    assert buffer.wait_until_accepted(0.0)


def test_a_buffer_that_starts_over_holds_nothing(buffer):
    """All that is here was of another run: what is ready, what runs, what has ended."""
    start(buffer, 1, 2)
    buffer.put_claims(claims(3))
    buffer.put_outcomes(ended(1))
    buffer.next_batch(0)

    buffer.start_over(draining=False)

    assert () == buffer.held()


def test_a_claim_that_could_not_be_started_is_not_put_back_once_it_is_not_ours(buffer):
    """Another client may run it by now."""
    start(buffer, 1)
    buffer.start_over(draining=False)

    buffer.put_back(claims(1)[0])

    assert buffer.start_next() is None
    assert () == buffer.held()


def test_a_buffer_that_starts_over_asks_again(buffer):
    """The server that it joined has heard nothing yet."""
    buffer.start_over(draining=False)

    assert ([], 2, []) == buffer.next_batch(0)


def test_a_wait_until_nothing_runs_ends_with_the_last_task(buffer):
    """Or when its time is over."""
    start(buffer, 1)
    assert not buffer.wait_until_stopped(0.01)
    waiting = Call(buffer.wait_until_stopped, 10.0)

    buffer.put_outcomes(ended(1))

    assert waiting.result()


def test_a_buffer_with_work_is_not_idle(buffer):
    """Nor one that has just ended some."""
    start(buffer, 1)
    assert buffer.idle_seconds() < 0.1

    buffer.put_outcomes(ended(1))

    assert buffer.idle_seconds() < 1.0


def test_nothing_is_fetched_ahead_before_a_task_has_ended():
    """It may take hours."""
    assert 0 == Prefetch(8).ahead(100.0, 0.001)


def test_short_tasks_are_fetched_ahead_for_the_horizon():
    """As many as the slots run meanwhile."""
    prefetch = Prefetch(2)
    prefetch.learn(0.01, 100.0)

    assert int(2 * HORIZON_SECONDS / 0.01) == prefetch.ahead(100.0, 0.0)


def test_a_longer_way_asks_for_more():
    """The next claims come later."""
    prefetch = Prefetch(2)
    prefetch.learn(0.01, 100.0)

    assert prefetch.ahead(100.0, 0.1) > prefetch.ahead(100.0, 0.001)


def test_long_tasks_are_not_fetched_ahead():
    """Another client may run them."""
    prefetch = Prefetch(2)
    prefetch.learn(60.0, 100.0)

    assert 0 == prefetch.ahead(100.0, 0.001)


def test_tasks_that_do_not_end_any_more_are_taken_for_long_ones():
    """Before the first of them has ended."""
    prefetch = Prefetch(2)
    prefetch.learn(0.001, 100.0)

    assert prefetch.ahead(100.0 + STALLED_SECONDS / 2, 0.001) > 100
    assert 0 == prefetch.ahead(110.0, 0.001)


def test_a_claim_that_is_cancelled_before_it_began_ends_at_once(buffer):
    """What runs is returned, to be stopped; the rest goes on."""
    start(buffer, 1)
    buffer.put_claims(claims(2, 3))

    running = buffer.cancel([(1, 1), (2, 1)])

    outcomes, *_ = buffer.next_batch(1.0)
    assert [(1, 1)] == running
    assert [(2, Ending.CANCELLED)] == [(o.task_id, o.ending) for o in outcomes]
    assert 3 == buffer.start_next().task_id


def test_a_claim_that_comes_after_its_cancel_is_not_begun(buffer):
    """Answers to two calls may arrive in either order."""
    buffer.cancel([(1, 1)])

    buffer.put_claims(claims(1, 2))

    assert 2 == buffer.start_next().task_id
    assert [(1, Ending.CANCELLED)] == [(o.task_id, o.ending) for o in buffer.next_batch(1.0)[0]]


def test_a_cancel_under_another_lease_changes_nothing(buffer):
    """It was for an earlier time that the task was out."""
    start(buffer, 1)
    buffer.put_claims(claims(2))

    assert [] == buffer.cancel([(1, 2), (2, 2)])
    assert 2 == buffer.start_next().task_id


def test_a_cancel_of_what_has_ended_changes_nothing(buffer):
    """Its own outcome stands, and none is made up."""
    start(buffer, 1)
    buffer.put_outcomes(ended(1))

    assert [] == buffer.cancel([(1, 1)])
    assert ended(1) == buffer.next_batch(1.0)[0]


def test_what_must_be_dropped_and_runs_is_returned(buffer):
    """The rest is forgotten: nothing is said of it."""
    start(buffer, 1)
    buffer.put_claims(claims(2, 3))

    assert [(1, 1)] == buffer.drop([(1, 1), (2, 1)])
    assert ((3, 1, False), (1, 1, True)) == buffer.held()


def test_a_buffer_asks_a_server_that_was_started_again_for_more(buffer):
    """It has heard no number yet; one that was drained by the server before takes claims again."""
    start(buffer, 1, 2)
    buffer.drain()
    assert ([], 0, []) == buffer.next_batch(0)
    buffer.accepted(0.001)

    buffer.go_on(draining=False)

    assert ([], 2, []) == buffer.next_batch(0)
    assert ((1, 1, True), (2, 1, True)) == buffer.held()


def test_a_batch_of_much_output_is_split(woken, drained):
    """Far below what a frame may be; nothing is lost, and the next part does not wait."""
    buffer = TaskBuffer(30, lambda: woken.append(None), drained.append)
    start(buffer, *range(1, 31))
    outcomes = [o._replace(out=bytes(2**20), err=bytes(2**20)) for o in ended(*range(1, 31))]
    buffer.put_outcomes(outcomes)

    batches = []
    while len(buffer.held()) > 0:
        batches.append(buffer.next_batch(1.0)[0])
        buffer.accepted(0.001)

    assert outcomes == [outcome for batch in batches for outcome in batch]
    assert 8 == len(batches)


# What a signal to all may have ended.


def by_term(*numbers: int) -> list[Outcome]:
    """Outcomes of tasks that TERM ended."""
    return [Outcome(number, 1, Ending.SIGNALED, 15, seconds=10.0) for number in numbers]


def test_an_ending_by_term_is_given_a_second_later(buffer):
    """Its slot is free at once: meanwhile the client asks for another claim."""
    start(buffer, 1, 2)
    begin = time.monotonic()
    buffer.put_outcomes(by_term(1))

    first, second = buffer.next_batch(0), None
    buffer.accepted(0.001)
    while not (second and second.outcomes):
        second = buffer.next_batch(2.0)

    assert ([], 3, []) == first
    assert by_term(1) == second.outcomes
    assert 0.9 < time.monotonic() - begin < 2.0


@pytest.mark.parametrize("order", [("end", "told"), ("told", "end")])
def test_an_ending_by_term_is_an_interruption_where_the_client_is_told_to_end(buffer, order):
    """Before or after: no second is waited for."""
    start(buffer, 1, 2)
    for event in order:
        if event == "end":
            buffer.put_outcomes(by_term(1))
        else:
            buffer.tell_to_end()

    assert [Ending.INTERRUPTED] == [o.ending for o in buffer.next_batch(0).outcomes]
    assert ([(2, 1)], [(1, 1)]) == buffer.begun()


def test_a_drained_buffer_is_empty_when_the_outcome_that_it_holds_is_dropped(buffer, drained):
    """A client that leaves has nothing else to wait for."""
    start(buffer, 1)
    buffer.drain()
    buffer.next_batch(0)
    buffer.accepted(0.001)
    buffer.put_outcomes(by_term(1))
    assert [] == drained

    buffer.drop([(1, 1)])

    assert [True] == drained


def test_a_drained_buffer_is_not_empty_while_it_holds_an_outcome(buffer, drained):
    """Nothing runs, but the client has no reason to hurry yet."""
    start(buffer, 1)
    buffer.drain()
    buffer.put_outcomes(by_term(1))
    assert [] == drained

    buffer.tell_to_end()

    assert [False] == drained


# What has begun.


class Started:
    """A task as the executor started it."""

    def __init__(self, number: int, ago: float) -> None:
        self.claim = Claim(number, 1, 1, b"true")
        self.pid, self.slot = 1000 + number, number
        self.started, self.started_at = time.monotonic() - ago, 5.0


def test_a_task_that_has_run_for_a_while_is_told_once(buffer):
    """With its slot and process; shorter ones cost nothing."""
    start(buffer, 1, 2)
    buffer.note_started(Started(1, ago=0.6))
    buffer.note_started(Started(2, ago=0.0))

    batch = buffer.next_batch(0)
    buffer.accepted(0.001)

    assert [(1, 1, 5.0, 1, 1001)] == batch.begun
    assert buffer.next_batch(0) is None
    assert [(2, 1, 5.0, 2, 1002)] == buffer.next_batch(2.0).begun


def test_what_was_told_in_vain_is_told_again(buffer):
    """The connection broke; or the server was started again."""
    start(buffer, 1)
    buffer.note_started(Started(1, ago=0.6))
    tell = (buffer.not_accepted, lambda: (buffer.accepted(0.001), buffer.go_on(draining=False)))

    told = []
    for answer in tell:
        told.append(buffer.next_batch(0).begun)
        answer()
    told.append(buffer.next_batch(0).begun)

    assert [[(1, 1, 5.0, 1, 1001)]] * 3 == told


def test_what_was_told_to_a_server_that_is_gone_does_not_keep_news_from_the_next(buffer):
    """The returner looks whether a task has run for long enough, though nothing else happens."""
    start(buffer, 1, 2)
    buffer.note_started(Started(1, ago=0.6))
    buffer.note_started(Started(2, ago=0.6))
    buffer.next_batch(0)
    buffer.accepted(0.001)
    buffer.start_over(draining=False)
    buffer.next_batch(0)
    buffer.accepted(0.001)

    start(buffer, 3)
    buffer.note_started(Started(3, ago=0.0))
    begin = time.monotonic()

    assert [(3, 1, 5.0, 3, 1003)] == buffer.next_batch(5.0).begun
    assert time.monotonic() - begin < 4.0


def test_a_task_that_has_ended_is_not_told_of(buffer):
    """Its outcome says more."""
    start(buffer, 1)
    buffer.note_started(Started(1, ago=0.6))
    buffer.put_outcomes(ended(1))

    assert (ended(1), []) == buffer.next_batch(0)[::2]


def test_no_task_starts_while_the_table_is_full(woken, drained):
    """It starts when another's outcome is accepted."""
    buffer = TaskBuffer(1, lambda: woken.append(None), drained.append, BegunTable(1))
    start(buffer, 1)
    buffer.put_claims(claims(2))
    buffer.put_outcomes(ended(1))
    assert buffer.start_next() is None
    woken.clear()

    buffer.next_batch(1.0)
    buffer.accepted(0.001)

    assert [None] == woken
    assert 2 == buffer.start_next().task_id


def test_a_task_of_which_no_process_could_be_started_has_not_begun(buffer):
    """If its client dies now, it is given back."""
    start(buffer, 1)

    buffer.put_outcomes([Outcome(1, 1, Ending.GIVEN_BACK)])

    assert ([], []) == buffer.begun()
    assert ((1, 1, False),) == buffer.held()


def test_nothing_is_started_once_the_lease_is_over(buffer, woken):
    """A client that stood still may be the first to look, before anybody stops its tasks."""
    buffer.put_claims(claims(1))
    buffer.may_start_until(clock.boottime())

    assert buffer.start_next() is None

    woken.clear()
    buffer.may_start_until(clock.boottime() + 60.0)
    assert [None] == woken
    assert 1 == buffer.start_next().task_id
