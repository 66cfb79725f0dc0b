"""Cancelled tasks: who is told, once, and what is taken back before anybody has it."""

from hypershell.core.ending import Ending
from hypershell.server.events import CapacityFreed
from hypershell.wire.worker_messages import Hello, Welcome
from tests.helpers.fakes import Call, ServerParts, commands, ended, succeeded
from tests.helpers.waiting import until


def back(parts: ServerParts, client: Welcome, *held: tuple[int, int]) -> Welcome:
    """The client comes back after a broken connection."""
    all_begun = tuple((*pair, True) for pair in held)
    return parts.greet(Hello("node1", 1, 1, client.client_id, all_begun))


def test_what_nobody_has_taken_is_taken_back():
    """From the middle of bundles, too; the others go out as before."""
    parts = ServerParts(b"a", b"b", b"c", b"d", bundlesize=2)
    client = parts.join()

    untaken = parts.scheduled.cancel([(2, 1), (3, 1), (3, 9)])

    assert [2, 3] == [task.id for task in untaken]
    assert [b"a", b"d"] == commands(parts.exchange(client, want=9))
    assert 0 == parts.scheduled.size()


def test_room_that_a_cancel_makes_is_told():
    """Others wait for it."""
    parts = ServerParts(*[b"a"] * 1500)
    freed = parts.heard(CapacityFreed)

    parts.scheduled.cancel((number, 1) for number in range(1, 1001))

    assert [CapacityFreed()] == freed
    assert 1000 == parts.scheduled.capacity()


def test_a_parked_client_is_told_at_once():
    """It alone: others stay parked."""
    parts = ServerParts(b"a", b"b")
    one, other = parts.join(), parts.join()
    parts.exchange(one, want=1)
    parts.exchange(other, want=1)
    told, silent = parts.park(one), parts.park(other)

    assert [] == parts.scheduled.cancel([(1, 1)])

    assert ((1, 1),) == told.result().cancelled
    assert not silent.is_over(0.1)
    parts.scheduled.set_phase(parts.scheduled.phase.OVER)
    assert () == silent.result().cancelled


def test_a_client_is_told_once():
    """However it calls, and however often somebody cancels it."""
    parts = ServerParts(b"a")
    client = parts.join()
    parts.exchange(client, want=1)
    parts.scheduled.cancel([(1, 1)])

    answers = [parts.exchange(client) for _ in range(2)]
    parts.scheduled.cancel([(1, 1)])
    answers.append(parts.exchange(client))

    assert [((1, 1),), (), ()] == [answer.cancelled for answer in answers]


def test_a_client_that_comes_back_is_told_again():
    """The answer may have been lost; what it has reported meanwhile is over."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    first, second = parts.exchange(client, want=2).claims
    parts.scheduled.cancel([(1, 1), (2, 1)])
    parts.exchange(client)
    parts.give(client, ended(first, Ending.CANCELLED))

    again = back(parts, client, (2, 1))

    assert ((2, 1),) == parts.exchange(again).cancelled
    parts.give(again, succeeded(second))
    assert () == parts.exchange(back(parts, client)).cancelled


def test_a_call_of_an_older_session_is_told_nothing():
    """Nobody would hear it."""
    parts = ServerParts(b"a")
    client = parts.join()
    parts.exchange(client, want=1)
    parked = parts.park(client)
    again = back(parts, client, (1, 1))

    parts.scheduled.cancel([(1, 1)])

    assert () == parked.result().cancelled
    assert ((1, 1),) == parts.exchange(again).cancelled


def test_a_task_that_is_cancelled_on_its_way_to_the_queue_is_named_to_whoever_takes_it():
    """It was leased, and not offered yet."""
    parts = ServerParts()
    client = parts.join()
    parts.add(b"a")
    tasks = parts.store.lease(1, 1000)

    untaken = parts.scheduled.cancel([(1, 1)])
    parts.scheduled.offer([tasks])
    answer = parts.exchange(client, want=1)

    assert [] == untaken
    assert ([b"a"], ((1, 1),)) == (commands(answer), answer.cancelled)


def test_a_cancel_of_an_older_lease_concerns_nobody():
    """The task is out under its next one."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    parts.give(client, ended(claim, Ending.GIVEN_BACK), want=0)
    parts.scheduler.dispatch()

    untaken = parts.scheduled.cancel([(1, 1)])
    answer = parts.exchange(client, want=1)

    assert [] == untaken
    assert (2, ()) == (answer.claims[0].lease, answer.cancelled)


def test_a_cancelled_task_is_told_while_outcomes_cannot_be_recorded():
    """A disk that is full must not keep tasks running."""
    parts = ServerParts(b"a", b"b", lease=7.0)
    client = parts.join()
    first, _ = parts.exchange(client, want=2).claims
    parts.scheduled.cancel([(2, 1)])

    answer = parts.exchange(client, [succeeded(first)])

    assert (True, False, ((2, 1),)) == (answer.known, answer.accepted, answer.cancelled)


def test_outcomes_that_are_given_again_are_recorded_once():
    """While nothing can be recorded no more of them pile up; the first batch is waited for."""
    parts = ServerParts(b"a", lease=7.0)
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims

    answers = [parts.exchange(client, [succeeded(claim)]) for _ in range(3)]
    waiting = parts.finished.size()
    last = Call(parts.exchange, client, [succeeded(claim)])
    parts.receive()

    assert [(True, False)] * 3 == [(a.known, a.accepted) for a in answers]
    assert 1 == waiting
    assert last.result().accepted
    assert 0 == parts.finished.size()
    assert 1 == parts.store.counts().succeeded


def test_a_client_that_comes_back_waits_for_no_record():
    """Nothing can be recorded for now, and its lease must not end by that."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    parts.exchange(client, want=2)

    again = Call(back, parts, client, (1, 1)).result()

    assert client.client_id == again.client_id
    until(parts.finished.size, 5.0, "what never arrived is given back")
