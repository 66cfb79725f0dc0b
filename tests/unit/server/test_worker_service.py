"""The verbs of the worker plane: clients join, exchange, come back, and leave."""

import logging

import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.core.task import Claim
from hypershell.server.events import OutcomesRecorded
from hypershell.wire.worker_messages import Hello, Phase, Welcome
from tests.helpers.fakes import Call, ServerParts, commands, ended, failed, succeeded
from tests.helpers.waiting import until


def held_by(client: Welcome, *claims: Claim) -> Hello:
    """How a client greets that comes back with these claims."""
    return Hello("node1", 1, 1, client.client_id, tuple((c.task_id, c.lease, True) for c in claims))


def test_each_client_has_a_name_of_its_own():
    """And is told how long it may be silent."""
    parts = ServerParts(lease=12.0)

    one, two = parts.join(), parts.join()

    assert one.client_id != two.client_id
    assert (1, 12.0, 5.0, ()) == (one.session, one.lease_seconds, one.grace_seconds, one.drop)


def test_a_client_that_is_not_known_is_told_so():
    """It was given up: what it holds may run elsewhere."""
    parts = ServerParts(b"a")
    client = parts.join()
    parts.registry.give_up(client.client_id)

    answer = parts.exchange(client, want=1)

    assert (False, []) == (answer.known, answer.claims)


def test_outcomes_are_recorded_when_the_call_returns():
    """Not before: the client may forget them then."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    call = Call(parts.exchange, client, [succeeded(claim)])

    assert not call.is_over(0.05)
    assert 0 == parts.store.counts().succeeded
    parts.receive()

    assert call.result().known
    assert 1 == parts.store.counts().succeeded
    assert 0 == parts.registry.claimed()


def test_an_outcome_that_comes_twice_counts_once():
    """The answer to the first one may have been lost."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    parts.give(client, failed(claim))

    answer = parts.exchange(client, [failed(claim)])

    assert answer.known
    assert (1, 1) == (parts.store.counts().failed, parts.store.counts().total)


def test_an_outcome_for_the_task_of_another_is_dropped():
    """A client speaks for what it holds, and for nothing else."""
    parts = ServerParts(b"a")
    one, other = parts.join(), parts.join()
    (claim,) = parts.exchange(one, want=1).claims

    answer = parts.exchange(other, [succeeded(claim), Outcome(99, 1, Ending.EXITED)])

    assert answer.known
    assert 1 == parts.store.counts().sent


def test_an_outcome_of_an_older_lease_is_dropped():
    """The task runs elsewhere by now, or again here."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    (again,) = parts.give(client, ended(claim, Ending.GIVEN_BACK), want=1).claims

    parts.exchange(client, [succeeded(claim)])

    assert 2 == again.lease
    assert 1 == parts.store.counts().sent


def test_what_is_given_back_goes_to_another_under_its_next_lease():
    """As the same attempt: it was never started."""
    parts = ServerParts(b"a")
    one, other = parts.join(), parts.join()
    (claim,) = parts.exchange(one, want=1).claims
    waiting = parts.park(other)

    parts.give(one, ended(claim, Ending.GIVEN_BACK), want=0)

    (again,) = waiting.result().claims
    assert (claim.task_id, 2, 1) == (again.task_id, again.lease, again.attempt)


def test_the_tasks_of_a_client_that_leaves_go_to_others():
    """At once; what had begun as the next attempt, the rest as the same."""
    parts = ServerParts(b"a", b"b")
    one, other = parts.join(), parts.join()
    first, _ = parts.exchange(one, want=2).claims
    waiting = parts.park(other, want=2)

    leaving = Call(parts.leave, one, "it was killed", True, [first])
    parts.receive()
    leaving.result()
    parts.scheduler.dispatch()

    claims = waiting.result().claims
    claims += parts.exchange(other, want=2).claims
    assert [(b"a", 2), (b"b", 1)] == sorted((c.command, c.attempt) for c in claims)


def test_what_a_client_never_started_is_no_further_attempt_when_it_leaves():
    """It says so itself; one that is dead cannot."""
    parts = ServerParts(b"a")
    client, other = parts.join(), parts.join()
    parts.exchange(client, want=1)

    leaving = Call(parts.leave, client)
    parts.receive()
    leaving.result()

    (claim,) = parts.exchange(other, want=1).claims
    assert (2, 1) == (claim.lease, claim.attempt)


def test_a_client_that_left_takes_nothing_with_it():
    """Its parked call is answered with nothing: the next task is for one who lives."""
    parts = ServerParts()
    one, other = parts.join(), parts.join()
    gone = parts.park(one)
    parts.leave(one, "it was killed", True)

    parts.add(b"a")
    parts.scheduler.dispatch()

    assert [] == gone.result().claims
    assert [b"a"] == commands(parts.exchange(other, want=1))


def test_to_leave_twice_is_harmless():
    """The client and its supervisor may both say it."""
    parts = ServerParts()
    client = parts.join()
    parts.leave(client, "done")

    parts.leave(client, "done")

    assert [] == parts.registry.clients()


def test_a_client_comes_back_as_itself():
    """In its next session, with all that it held."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims

    again = parts.greet(held_by(client, claim))

    assert (client.client_id, 2, ()) == (again.client_id, again.session, again.drop)
    assert 1 == parts.registry.claimed()
    assert parts.give(again, succeeded(claim)).known


def test_what_never_arrived_goes_out_again_when_a_client_comes_back():
    """The answer that carried it was lost; it was never started."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    arrived, _ = parts.exchange(client, want=2).claims

    joining = Call(parts.greet, held_by(client, arrived))
    parts.receive()
    again = joining.result()

    (claim,) = parts.exchange(again, want=2).claims
    assert (b"b", 2, 1) == (claim.command, claim.lease, claim.attempt)


def test_a_client_that_comes_back_drops_what_is_not_its_own():
    """Another has it, or it is over."""
    parts = ServerParts(b"a", b"b")
    client, other = parts.join(), parts.join()
    (mine,) = parts.exchange(client, want=1).claims
    (foreign,) = parts.exchange(other, want=1).claims

    again = parts.greet(held_by(client, mine, foreign))

    assert ((foreign.task_id, foreign.lease),) == again.drop


def test_a_task_that_is_held_under_two_leases_is_not_given_to_another():
    """Its retry came by one connection while the other lost the answer to its failure."""
    parts = ServerParts(b"a", policy=Policy(1, eager=True))
    client = parts.join()
    (old,) = parts.exchange(client, want=1).claims
    (new,) = parts.give(client, failed(old), want=1).claims

    joining = Call(parts.greet, held_by(client, new, old))
    over = joining.is_over(0.2)

    parts.finished.close()
    assert over
    assert ((old.task_id, old.lease),) == joining.result().drop


def test_a_client_that_was_given_up_comes_back_as_another():
    """By that it knows; all that it says to hold must be dropped."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    parts.registry.give_up(client.client_id)

    again = parts.greet(held_by(client, claim))

    assert client.client_id != again.client_id
    assert ((claim.task_id, claim.lease),) == again.drop


def test_a_call_of_an_older_session_is_refused():
    """It was under way when the connection broke."""
    parts = ServerParts(b"a")
    client = parts.join()
    parts.greet(held_by(client))

    answer = parts.exchange(client, want=1)

    assert (False, []) == (answer.known, answer.claims)


def test_a_parked_call_of_an_older_session_takes_nothing():
    """Nobody would hear its answer."""
    parts = ServerParts()
    client = parts.join()
    old = parts.park(client)
    again = parts.greet(held_by(client))

    parts.add(b"a")
    parts.scheduler.dispatch()

    assert [] == old.result().claims
    assert [b"a"] == commands(parts.exchange(again, want=1))


def test_a_call_that_gave_outcomes_before_the_connection_broke_takes_nothing():
    """Its client has come back while they were recorded, and would not hear of the task."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    old = Call(parts.exchange, client, [succeeded(claim)], 1)
    until(parts.finished.size, 5.0, "the outcomes are given")
    again = parts.greet(held_by(client, claim))

    parts.receive()

    assert [] == old.result().claims
    assert 0 == parts.registry.claimed()
    assert [b"b"] == commands(parts.exchange(again, want=1))


def test_a_client_that_comes_back_is_told_the_phase_anew():
    """What it was told before may not have arrived."""
    parts = ServerParts()
    client = parts.join()
    parts.scheduled.set_phase(Phase.DRAINING)
    parts.exchange(client)

    again = parts.greet(held_by(client))

    assert Phase.DRAINING is Call(parts.exchange, again, (), 1, 10.0).result().phase


@pytest.mark.parametrize(
    "arguments",
    [
        (None, 1, [], 0, 0, []),
        ("c", "1", [], 0, 0, []),
        ("c", 1, {}, 0, 0, []),
        ("c", 1, [["x"]], 0, 0, []),
        ("c", 1, [], "1", 0, []),
        ("c", 1, [], 0, None, []),
        ("c", 1, [], 0, 0, None),
        ("c", 1, [], 0, 0, [[1, 1]]),
        ("c", 1, [], 0, 0, [[1, 1, 1, 1, 1]]),
    ],
)
def test_an_exchange_of_other_things_is_refused(arguments):
    """Whatever a peer sends."""
    with pytest.raises(ValueError, match="not a"):
        ServerParts().worker_service.exchange(*arguments)


@pytest.mark.parametrize(
    "greeting",
    [
        None,
        [],
        "x",
        ["h", 1, 0, "", []],
        ["h", 1, 1, "", [[1]]],
        ["h", 1, 1, "", [[1, 1]]],
        ["h", 1, 1, "", [[1, 1, 1]]],
    ],
)
def test_a_greeting_of_other_things_is_refused(greeting):
    """Whatever a peer sends."""
    with pytest.raises(ValueError, match="not a"):
        ServerParts().worker_service.join(greeting)


@pytest.mark.parametrize(
    "arguments",
    [
        (1, "x", True, [], []),
        ("c", None, True, [], []),
        ("c", "x", 1, [], []),
        ("c", "x", True, None, []),
        ("c", "x", True, [], None),
        ("c", "x", True, [[1]], []),
        ("c", "x", True, [], [[1, "1"]]),
    ],
)
def test_a_leave_of_other_things_is_refused(arguments):
    """Whatever a peer sends."""
    with pytest.raises(ValueError, match="not a"):
        ServerParts().worker_service.leave(*arguments)


@pytest.mark.parametrize("host", ["node1\nclient 7 joined", "node1\x1b[31m", "node\udcff"])
def test_a_peer_cannot_forge_a_log_line_by_its_name(host):
    """Nor colour one."""
    with pytest.raises(ValueError, match="not a greeting"):
        ServerParts().join(host=host)


def test_a_peer_cannot_forge_a_log_line_by_its_last_words(caplog):
    """They are shown without what is not to be printed."""
    caplog.set_level(logging.INFO)
    parts = ServerParts()
    client = parts.join()

    parts.leave(client, "done\nclient 7 joined\x1b[31m")

    said = caplog.records[-1].getMessage()
    assert "done?client 7 joined?[31m" in said


def test_an_outcome_is_not_accepted_when_the_server_ends():
    """The client keeps it, as nobody has promised to, and is told that all is over."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    call = Call(parts.exchange, client, [succeeded(claim)])
    until(parts.finished.size, 5.0, "the outcome is given")

    parts.finished.close()

    for answer in (call.result(), parts.exchange(client, [succeeded(claim)])):
        assert (True, False, Phase.OVER) == (answer.known, answer.accepted, answer.phase)


def test_two_calls_of_a_client_give_the_same_outcome_once():
    """A call of an older session may still wait while the client gives all of it again."""
    parts = ServerParts(b"a")
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    recorded = parts.heard(OutcomesRecorded)

    first = Call(parts.exchange, client, [succeeded(claim)])
    until(parts.finished.size, 5.0, "the first call has given")
    second = Call(parts.exchange, client, [succeeded(claim)])
    is_early = second.is_over(0.1)
    waiting = parts.finished.size()
    parts.receive()

    assert (False, 1) == (is_early, waiting)
    assert [True, True] == [call.result().accepted for call in (first, second)]
    assert [1] == [len(event.recorded) for event in recorded]
