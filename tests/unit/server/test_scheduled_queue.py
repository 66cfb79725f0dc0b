"""The scheduled queue and the scheduler: who gets what, in which order."""

import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.server.events import CapacityFreed
from hypershell.server.state import bundles as bundles_module
from hypershell.server.state.scheduled_queue import CAPACITY
from hypershell.wire.worker_messages import Phase
from tests.helpers.fakes import Call, ServerParts, commands, failed, succeeded
from tests.helpers.waiting import stays, until


def test_tasks_go_out_in_the_order_of_their_lines():
    """Each under its first lease."""
    parts = ServerParts(b"a", b"b", b"c")
    client = parts.join()

    answer = parts.exchange(client, want=2)

    assert [b"a", b"b"] == commands(answer)
    assert {1} == {claim.lease for claim in answer.claims}


def test_a_client_holds_no_more_than_it_wants():
    """What it holds already counts."""
    parts = ServerParts(b"a", b"b", b"c")
    client = parts.join()
    parts.exchange(client, want=2)

    assert [] == parts.exchange(client, want=2).claims
    assert [b"c"] == commands(parts.exchange(client, want=3))


def test_a_client_that_says_no_number_wants_as_many_as_before():
    """-1 is what the parked call says."""
    parts = ServerParts(b"a", b"b", b"c")
    client = parts.join()
    held = parts.exchange(client, want=2).claims

    answer = parts.give(client, succeeded(held[0]), want=-1)

    assert [b"c"] == commands(answer)


def test_a_bundle_goes_out_whole():
    """Even to a client that wants one task."""
    parts = ServerParts(b"a", b"b", b"c", b"d", b"e", bundlesize=3)
    client = parts.join()

    assert [b"a", b"b", b"c"] == commands(parts.exchange(client, want=1))


def test_the_last_bundle_may_be_small():
    """What is left goes as it is."""
    parts = ServerParts(b"a", b"b", b"c", b"d", b"e", bundlesize=3)
    client = parts.join()
    parts.exchange(client, want=1)

    assert [b"d", b"e"] == commands(parts.exchange(client, want=4))


def test_a_bundle_that_is_too_large_for_one_answer_is_split(monkeypatch):
    """A frame has a limit; the rest goes with the next answer."""
    monkeypatch.setattr(bundles_module, "MAX_BYTES", 1000)
    half = b"x" * 500
    parts = ServerParts(half, half, b"rest", bundlesize=3)
    client = parts.join()

    assert [half, half] == commands(parts.exchange(client, want=1))
    assert [b"rest"] == commands(parts.exchange(client, want=3))


def test_a_parked_call_gets_the_next_task():
    """As soon as it is there, and nothing more."""
    parts = ServerParts()
    call = parts.park(parts.join(), want=1)

    parts.add(b"a", b"b")
    parts.scheduler.dispatch()

    assert [b"a"] == commands(call.result())


def test_the_call_that_was_parked_longest_gets_the_next_task():
    """And no other is woken for it."""
    parts = ServerParts()
    first, second = parts.park(parts.join()), parts.park(parts.join())

    parts.add(b"a")
    parts.scheduler.dispatch()

    assert [b"a"] == commands(first.result())
    assert not second.is_over()
    assert 1 == parts.parked()


def test_as_many_calls_are_woken_as_there_are_bundles(monkeypatch):
    """The others sleep on: one that wakes for nothing would lose its place, or take another's."""
    parts = ServerParts(bundlesize=2)
    parks = []
    park = parts.scheduled._park
    monkeypatch.setattr(parts.scheduled, "_park", lambda *a: parks.append(a) or park(*a))
    calls = [parts.park(parts.join()) for _ in range(3)]

    parts.add(b"a", b"b", b"c", b"d")
    parts.scheduler.dispatch()
    until(lambda: sum(call.is_over() for call in calls) == 2, 5.0, "two are answered")
    until(lambda: parts.parked() == 1, 5.0, "one is parked")

    assert 3 == len(parks)
    assert not calls[2].is_over()
    assert [[b"a", b"b"], [b"c", b"d"]] == sorted(commands(c.result()) for c in calls[:2])


def test_two_offers_at_once_wake_two_calls():
    """A call that is on its way already is not the one to wake for the second."""
    parts = ServerParts()
    calls = [parts.park(parts.join()) for _ in range(2)]
    parts.add(b"a", b"b")
    one, two = parts.store.lease(2)

    with parts.lock:  # neither call can move before both offers are made
        parts.scheduled.offer([[one]])
        parts.scheduled.offer([[two]])

    assert [[b"a"], [b"b"]] == sorted(commands(call.result()) for call in calls)


def test_a_client_that_wants_no_more_passes_the_task_on():
    """It was woken, and by another call says that it is leaving, before it could take it."""
    parts = ServerParts()
    leaving = parts.join()
    first, second = parts.park(leaving), parts.park(parts.join())
    parts.add(b"a")
    (task,) = parts.store.lease(1)

    with parts.lock:
        parts.scheduled.offer([[task]])
        parts.exchange(leaving, want=0)

    assert [b"a"] == commands(second.result())
    assert not first.is_over()


def test_a_client_with_no_room_is_not_woken():
    """The task is for the next."""
    parts = ServerParts(b"held")
    full = parts.join()
    parts.exchange(full, want=1)
    parked_full = parts.park(full, want=1)
    parked = parts.park(parts.join(), want=1)

    parts.add(b"a")
    parts.scheduler.dispatch()

    assert [b"a"] == commands(parked.result())
    assert not parked_full.is_over()


def test_a_parked_call_is_answered_when_its_time_is_over():
    """With nothing: so its client knows that the server lives."""
    parts = ServerParts()

    answer = Call(parts.exchange, parts.join(), (), 1, 0.05).result()

    assert (True, []) == (answer.known, answer.claims)


@pytest.mark.parametrize("wait", [float("nan"), float("inf"), -1.0, 1e9])
def test_a_wait_that_cannot_be_waited_is_refused(wait):
    """A peer must not keep a thread for ever, or busy."""
    parts = ServerParts()

    with pytest.raises(ValueError, match="not an exchange"):
        parts.exchange(parts.join(), want=1, wait=wait)


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPING, Phase.OVER])
def test_all_parked_calls_are_told_that_the_run_ends(phase):
    """At once, and given nothing to run any more."""
    parts = ServerParts()
    calls = [parts.park(parts.join()) for _ in range(3)]

    parts.scheduled.set_phase(phase)

    assert [(phase, [])] * 3 == [(c.result().phase, c.result().claims) for c in calls]


def test_nothing_goes_out_once_the_run_ends():
    """What waits is left for another run."""
    parts = ServerParts(b"a")
    client = parts.join()
    parts.scheduled.set_phase(Phase.DRAINING)

    assert [] == parts.exchange(client, want=1).claims


def test_a_client_that_was_told_can_be_parked_again():
    """It may have tasks to finish; it is not answered in a circle."""
    parts = ServerParts()
    client = parts.join()
    parts.scheduled.set_phase(Phase.DRAINING)
    parts.exchange(client)

    call = parts.park(client)

    assert not call.is_over()


def test_the_end_waits_until_all_clients_know_of_it():
    """For as long as it is given."""
    parts = ServerParts()
    first, second = parts.join(), parts.join()
    parts.scheduled.set_phase(Phase.OVER)
    parts.exchange(first)

    assert not parts.scheduled.wait_until_known(parts.registry.clients(), 0.01)
    parts.exchange(second)
    assert parts.scheduled.wait_until_known(parts.registry.clients(), 0.0)


def test_a_queue_that_is_half_empty_asks_for_more():
    """And not before that."""
    parts = ServerParts(*[b"x"] * CAPACITY)
    client = parts.join()
    freed = parts.heard(CapacityFreed)

    parts.exchange(client, want=CAPACITY // 2 - 1)
    assert [] == freed
    parts.exchange(client, want=CAPACITY // 2)
    assert [CapacityFreed()] == freed


def test_the_queue_leases_no_more_than_it_holds():
    """The rest stays in the store, where a restart finds it WAITING."""
    parts = ServerParts(*[b"x"] * (2 * CAPACITY))

    assert (CAPACITY, CAPACITY) == (parts.store.counts().sent, parts.store.counts().waiting)


def test_large_bundles_are_leased_whole():
    """Two of them, however large."""
    parts = ServerParts(*[b"x"] * 5000, bundlesize=2000)

    bundles = list(parts.scheduled._bundles)

    assert [2000, 2000] == [len(bundle) for bundle in bundles]


@pytest.mark.parametrize(
    ("eager", "expected"), [(True, [b"a", b"c", b"d"]), (False, [b"c", b"d", b"a"])]
)
def test_an_eager_retry_goes_before_what_is_scheduled(eager, expected):
    """Any other goes behind it."""
    parts = ServerParts(b"a", b"b", b"c", b"d", policy=Policy(1, eager=eager))
    client = parts.join()
    bad, good = parts.exchange(client, want=2).claims
    parts.give(client, failed(bad), want=0)

    parts.scheduler.dispatch()
    answer = parts.give(client, succeeded(good), want=3)

    assert expected == commands(answer)


def test_an_eager_retry_is_in_the_answer_to_its_own_failure():
    """The client that failed it need not ask twice."""
    parts = ServerParts(b"a", b"b", policy=Policy(1, eager=True))
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims

    (again,) = parts.give(client, failed(claim), want=1).claims

    assert (b"a", 2, 2) == (again.command, again.lease, again.attempt)


def test_a_task_that_comes_again_is_a_bundle_of_its_own():
    """Its old bundle is history."""
    parts = ServerParts(b"a", b"b", b"c", b"d", bundlesize=2, policy=Policy(1, eager=True))
    client = parts.join()
    first, second = parts.exchange(client, want=1).claims
    parts.give(client, failed(first), failed(second), want=0)

    assert [b"a"] == commands(parts.exchange(client, want=1))
    assert [b"b"] == commands(parts.exchange(client, want=2))
    assert [b"c", b"d"] == commands(parts.exchange(client, want=3))


def test_tasks_that_are_taken_back_go_first_and_in_order():
    """No client has taken them."""
    parts = ServerParts(b"a", b"b", b"c")
    parts.add(b"d")

    parts.store.take_back(parts.scheduled.drain())

    assert [b"a", b"b", b"c", b"d"] == [task.line for task in parts.store.lease(4)]


def test_a_scheduler_that_is_poked_dispatches():
    """And waits in between."""
    parts = ServerParts()
    passing = Call(parts.scheduler.one_pass)
    assert not passing.is_over(0.05)

    parts.add(b"a")
    parts.scheduler.poke()

    assert passing.result()
    assert [b"a"] == commands(parts.exchange(parts.join(), want=1))


def test_a_poke_that_comes_during_a_pass_is_not_lost():
    """The next pass begins at once."""
    parts = ServerParts()
    parts.scheduler.poke()
    parts.scheduler.one_pass()

    parts.scheduler.poke()

    assert Call(parts.scheduler.one_pass).result()


def test_many_calls_share_many_tasks_without_losing_one():
    """Each task goes to one client, whatever the order of calls."""
    parts = ServerParts()
    calls = [parts.park(parts.join(), want=1) for _ in range(20)]

    for n in range(20):
        parts.add(b"%d" % n)
        parts.scheduler.dispatch()
    until(lambda: all(call.is_over() for call in calls), 5.0, "all calls are answered")

    assert sorted(b"%d" % n for n in range(20)) == sorted(
        command for call in calls for command in commands(call.result())
    )


def test_long_lines_are_leased_by_their_bytes(monkeypatch):
    """What is under lease is in memory."""
    monkeypatch.setattr(bundles_module, "MAX_BYTES", 10_000)
    parts = ServerParts(*[b"x" * 100] * (3 * CAPACITY))
    client = parts.join()

    assert CAPACITY == parts.store.counts().sent
    parts.exchange(client, want=1)
    parts.scheduler.dispatch()
    assert CAPACITY == parts.store.counts().sent


def test_no_call_stays_parked_at_the_end_of_a_run():
    """Also where another call has told its client that all is over."""
    parts = ServerParts()
    client = parts.join()
    parked = parts.park(client)

    with parts.lock:
        parts.scheduled.set_phase(Phase.OVER)
        parts.exchange(client, want=0)

    assert [] == commands(parked.result())


def test_nothing_is_handed_out_while_the_server_is_about_to_stop():
    """A call that was parked meanwhile gets a task when it runs on."""
    parts = ServerParts(b"a")
    client = parts.join()
    parts.scheduled.pause()

    assert [] == parts.exchange(client, want=1).claims
    call = Call(parts.exchange, client, (), 1, 10.0)
    until(lambda: parts.scheduled.parked() == 1, 5.0, "the call is parked")

    parts.scheduled.go_on()

    assert [b"a"] == commands(call.result())


def test_what_is_rescheduled_goes_first_whichever_loop_hands_it_out():
    """The scheduler may be asked for more in the moment in which a task comes to wait again."""
    parts = ServerParts(b"a", b"b", b"c")
    client = parts.join()
    (held,) = parts.exchange(client, want=1).claims
    given_back = Outcome(held.task_id, held.lease, Ending.GIVEN_BACK)
    parts.store.record([(client.client_id, [given_back])])

    parts.scheduler.dispatch()

    assert [b"a"] == commands(parts.exchange(parts.join("node2"), want=1))


def test_parked_calls_do_not_wake_each_other_while_nothing_is_handed_out(monkeypatch):
    """Though there are tasks that they could have."""
    parts = ServerParts(b"a", b"b", b"c")
    clients = [parts.join(), parts.join("node2")]
    parts.scheduled.set_phase(Phase.DRAINING)
    looks, pop = [], parts.scheduled._pop
    monkeypatch.setattr(parts.scheduled, "_pop", lambda client: looks.append(client) or pop(client))
    for client in clients:
        parts.exchange(client, want=1)

    calls = [Call(parts.exchange, client, (), -1, 60.0) for client in clients]
    until(lambda: parts.scheduled.parked() == 2, 5, "both are parked")

    stays(lambda: len(looks) == 4, 0.2, "each has looked once more")
    parts.scheduled.set_phase(Phase.OVER)
    assert [Phase.OVER] * 2 == [call.result().phase for call in calls]
