"""Tasks whose clients died while they ran: one to a client, and alone before the next condemns."""

import pytest

from hypershell.core.ending import Ending
from hypershell.core.retry import Policy
from hypershell.core.task import Claim
from hypershell.runtime import clock
from hypershell.server.state.last_chances import PATIENCE_SECONDS
from hypershell.wire.worker_messages import Hello, Welcome
from tests.helpers.fakes import Call, ServerParts, commands, ended, succeeded
from tests.helpers.waiting import until

TWICE = Policy(max_lost=2)
"""One loss makes a task suspect, and the next one condemns it."""


def dies(parts: ServerParts, client: Welcome, *begun: Claim) -> None:
    """A client dies, and had begun these."""
    leaving = Call(parts.leave, client, "it was killed", True, begun)
    parts.receive()
    leaving.result()
    parts.scheduler.dispatch()


def lose(parts: ServerParts, want: int, number: int) -> list[Claim]:
    """A client takes so many and dies of the first few of them."""
    client = parts.join()
    claims = parts.exchange(client, want=want).claims
    dies(parts, client, *claims[:number])
    return claims[:number]


@pytest.fixture
def later(monkeypatch):
    """Moves the monotonic clock on."""
    ahead = [0.0]
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


def test_tasks_that_lost_their_client_go_before_new_ones():
    """Also before those that were read and scheduled already; what had not begun, too."""
    parts = ServerParts(b"a", b"b", b"c", b"d")
    lose(parts, want=2, number=1)
    parts.add(b"e")
    client = parts.join()

    claims = parts.exchange(client, want=9).claims

    assert [b"a", b"b", b"c", b"d"] == [claim.command for claim in claims][:4]
    assert [2, 1, 1, 1] == [claim.attempt for claim in claims][:4]


def test_a_client_has_one_suspect_at_a_time():
    """The others wait for it to end, or go elsewhere; new tasks are given beside it."""
    parts = ServerParts(b"a", b"b", b"c", b"d", b"e")
    lose(parts, want=3, number=3)
    one, other = parts.join(), parts.join()

    first = parts.exchange(one, want=3).claims
    second = parts.exchange(other, want=1).claims
    after = parts.give(one, succeeded(first[0])).claims

    assert [b"a", b"d", b"e"] == [claim.command for claim in first]
    assert [b"b"] == [claim.command for claim in second]
    assert [b"c"] == [claim.command for claim in after]


def test_the_last_chance_comes_at_the_end():
    """When there is nothing else left for its client."""
    parts = ServerParts(b"a", b"b", b"c", policy=TWICE)
    lose(parts, want=1, number=1)
    client = parts.join()

    (first,) = parts.exchange(client, want=1).claims
    (second,) = parts.give(client, succeeded(first)).claims
    (third,) = parts.give(client, succeeded(second)).claims

    assert [b"b", b"c", b"a"] == [each.command for each in (first, second, third)]


def test_the_last_chance_runs_alone():
    """Its client must hold nothing else, and is given nothing until it has ended."""
    parts = ServerParts(b"a", b"b", policy=TWICE)
    lose(parts, want=1, number=1)
    client = parts.join()

    (other,) = parts.exchange(client, want=5).claims
    beside = parts.exchange(client).claims
    (alone,) = parts.give(client, succeeded(other)).claims
    parts.add(b"c")
    parts.scheduler.dispatch()
    meanwhile = parts.exchange(client).claims
    after = parts.give(client, succeeded(alone))

    assert ([], []) == (beside, meanwhile)
    assert (b"b", b"a") == (other.command, alone.command)
    assert [b"c"] == commands(after)


def test_two_last_chances_do_not_share_a_client():
    """However much it can take."""
    parts = ServerParts(b"a", b"b", policy=TWICE)
    lose(parts, want=2, number=2)
    client = parts.join()

    (first,) = parts.exchange(client, want=5).claims
    (second,) = parts.give(client, succeeded(first)).claims

    assert [b"a", b"b"] == [first.command, second.command]


def test_an_idle_client_is_woken_for_a_last_chance():
    """It is parked when the task comes back."""
    parts = ServerParts(b"a", policy=TWICE)
    dying, idle = parts.join(), parts.join()
    claims = parts.exchange(dying, want=1).claims
    parked = parts.park(idle, want=4)

    dies(parts, dying, *claims)

    assert [b"a"] == commands(parked.result())


def test_clients_that_may_not_have_it_do_not_wake_each_other():
    """Two that hold a suspect each lie still while a third one waits."""
    parts = ServerParts(b"a", b"b", b"c")
    lose(parts, want=3, number=3)
    one, other = parts.join(), parts.join()
    for client in (one, other):
        parts.exchange(client, want=1)

    calls = [parts.park(client, want=3) for client in (one, other)]

    until(lambda: parts.parked() == 2, 5.0, "both are parked")
    assert not any(call.is_over(0.05) for call in calls)
    parts.scheduled.set_phase(parts.scheduled.phase)
    parts.finished.close()


def test_new_tasks_do_not_keep_a_last_chance_waiting_for_ever(later):
    """One client is set aside for it; the others go on."""
    parts = ServerParts(b"a", *[b"x"] * 20, policy=TWICE)
    lose(parts, want=1, number=1)
    one, other = parts.join(), parts.join()
    held = {client.client_id: parts.exchange(client, want=2).claims for client in (one, other)}

    later(PATIENCE_SECONDS + 1.0)
    set_aside = parts.give(one, succeeded(held[one.client_id][0])).claims
    goes_on = parts.give(other, succeeded(held[other.client_id][0])).claims
    (alone,) = parts.give(one, succeeded(held[one.client_id][1])).claims

    assert [] == set_aside
    assert [b"x"] == [claim.command for claim in goes_on]
    assert b"a" == alone.command


def test_a_client_that_was_set_aside_and_leaves_is_replaced(later):
    """By the next that asks."""
    parts = ServerParts(b"a", *[b"x"] * 20, policy=TWICE)
    lose(parts, want=1, number=1)
    one, other = parts.join(), parts.join()
    (claim,) = parts.exchange(other, want=1).claims
    parts.exchange(one, want=1)
    later(PATIENCE_SECONDS + 1.0)
    assert [] == parts.exchange(one, want=2).claims

    dies(parts, one)

    assert [b"a"] == commands(parts.give(other, succeeded(claim)))


def test_a_last_chance_can_be_cancelled():
    """Before any client has it, and so at once."""
    parts = ServerParts(b"a", b"b", policy=TWICE)
    (lost,) = lose(parts, want=1, number=1)
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims

    untaken = parts.scheduled.cancel([(lost.task_id, lost.lease + 1)])

    assert [lost.task_id] == [task.id for task in untaken]
    assert [] == commands(parts.give(client, succeeded(claim)))
    assert 0 == parts.scheduled.size()


def test_a_suspect_that_is_given_back_stays_one():
    """Nothing was learned of it."""
    parts = ServerParts(b"a", b"b", policy=TWICE)
    lose(parts, want=1, number=1)
    client = parts.join()
    (other,) = parts.exchange(client, want=1).claims
    (alone,) = parts.give(client, succeeded(other)).claims

    parts.give(client, ended(alone, Ending.GIVEN_BACK))
    parts.add(b"c")
    parts.scheduler.dispatch()

    assert [b"c"] == commands(parts.exchange(client, want=5))


def test_a_client_that_comes_back_still_has_its_suspect():
    """The connection broke, and nothing else."""
    parts = ServerParts(b"a", b"b", b"c")
    lose(parts, want=2, number=2)
    client = parts.join()
    (suspect,) = parts.exchange(client, want=1).claims

    held = ((suspect.task_id, suspect.lease, True),)
    again = parts.greet(Hello("node1", 1, 1, client.client_id, held))

    assert [b"c"] == commands(parts.exchange(again, want=4))
