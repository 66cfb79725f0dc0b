"""Who lives: a client that is not heard for its lease is given up."""

import threading
import time

import pytest

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.server.events import ClientLeft, EventBus, TasksBegun
from hypershell.server.state.registry import ClientRegistry, Departure
from hypershell.wire.worker_messages import Hello
from tests.helpers.fakes import Call, ServerParts, succeeded
from tests.helpers.waiting import until


@pytest.fixture
def registry() -> ClientRegistry:
    """A roster with a short lease."""
    return ClientRegistry(threading.RLock(), 0.2, 0.05, EventBus())


def test_a_client_that_is_heard_is_not_silent(registry):
    """However long it has been here."""
    welcome = registry.join(Hello("node1", 1, 1))
    registry.hear(welcome.client_id, 1)

    assert [] == registry.wait_for_silent(timeout=0.0)


def test_a_client_is_silent_after_its_lease(registry):
    """Not before it is over."""
    begin = time.monotonic()
    welcome = registry.join(Hello("node1", 1, 1))

    silent: list[str] = []
    while not silent:
        silent = [client.id for client in registry.wait_for_silent(timeout=5.0)]

    assert [welcome.client_id] == silent
    assert 0.2 <= time.monotonic() - begin < 2.0


def test_an_empty_roster_is_waited_for_as_long_as_asked(registry):
    """And no client is named."""
    begin = time.monotonic()

    assert [] == registry.wait_for_silent(timeout=0.05)
    assert time.monotonic() - begin >= 0.04


def test_a_wake_ends_the_wait(registry):
    """The server is ending."""
    call = Call(registry.wait_for_silent, 10.0)

    while not call.is_over(0.01):
        registry.wake()

    assert [] == call.result()


def test_a_client_that_joins_ends_the_wait(registry):
    """Its lease may be over before the time that was asked for."""
    call = Call(registry.wait_for_silent, 10.0)
    assert not call.is_over(0.05)

    registry.join(Hello("node1", 1, 1))

    call.result()


def test_a_client_that_came_back_was_heard(registry):
    """Its lease begins anew."""
    welcome = registry.join(Hello("node1", 1, 1))
    client = registry.clients()[0]
    client.heard -= 1.0

    registry.join(Hello("node1", 1, 1, welcome.client_id))

    assert [] == registry.wait_for_silent(timeout=0.0)


def test_what_a_lost_client_held_is_lost_with_it():
    """Each claim under its own lease; what had not begun is given back."""
    parts = ServerParts(b"a", b"b", b"c")
    client = parts.join()
    parts.exchange(client, want=3)
    departure = Departure(dead=True, begun=[(1, 1), (3, 9)], interrupted=[(2, 1)])

    _, outcomes = parts.registry.leave(client.client_id, departure)

    endings = [(1, 1, Ending.LOST), (2, 1, Ending.INTERRUPTED), (3, 1, Ending.GIVEN_BACK)]
    assert endings == [outcome[:3] for outcome in outcomes]


def test_what_a_client_said_that_it_began_is_lost_without_its_last_word():
    """A supervisor that could not look says nothing of them."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    parts.exchange(client, want=2)
    parts.exchange(client, begun=[Begun(2, 1, 1e9, 1, 77)])

    _, outcomes = parts.registry.leave(client.client_id, Departure(dead=True))

    assert [Ending.GIVEN_BACK, Ending.LOST] == [outcome.ending for outcome in outcomes]


def test_a_client_that_is_not_dead_interrupts_what_it_had_begun():
    """It ended them itself; they may run elsewhere, and none has lost its client."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    parts.exchange(client, want=2)

    _, outcomes = parts.registry.leave(client.client_id, Departure(dead=False, begun=[(1, 1)]))

    assert [Ending.INTERRUPTED, Ending.GIVEN_BACK] == [outcome.ending for outcome in outcomes]


def test_of_a_client_that_is_given_up_nobody_knows_what_it_did_not_tell():
    """What it told is lost; of the rest it is not said that it had not begun."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    parts.exchange(client, want=2)
    parts.exchange(client, begun=[Begun(1, 1, 1e9, 1, 77), Begun(2, 7, 1e9, 1, 78)])

    _, outcomes = parts.registry.give_up(client.client_id)

    assert [Ending.LOST, Ending.UNREPORTED] == [outcome.ending for outcome in outcomes]


def test_a_client_that_calls_at_the_last_moment_is_not_given_up():
    """It was found silent, and gives an outcome: it would be told that this counts."""
    parts = ServerParts(b"a", lease=0.2)
    client = parts.join()
    (claim,) = parts.exchange(client, want=1).claims
    parts.registry.clients()[0].heard -= 1.0
    (silent,) = parts.registry.wait_for_silent(timeout=0.0)

    giving = Call(parts.exchange, client, [succeeded(claim)])
    until(lambda: parts.finished.size() == 1, 5.0, "the outcome is given")
    gone = parts.registry.give_up_if_silent(silent)
    parts.receive()

    assert gone is None
    assert giving.result().known
    assert 1 == parts.store.counts().succeeded


def test_a_client_that_stays_silent_is_given_up(registry):
    """It takes no call of it from then on."""
    welcome = registry.join(Hello("node1", 1, 1))
    registry.clients()[0].heard -= 1.0
    (silent,) = registry.wait_for_silent(timeout=0.0)

    client, outcomes = registry.give_up_if_silent(silent)

    assert (silent, []) == (client, outcomes)
    assert registry.hear(welcome.client_id, 1) is None


def test_what_began_is_known_before_it_is_known_that_its_client_left():
    """A server that dies between the two must not take it as never begun."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    parts.exchange(client, want=2)
    heard = []
    parts.bus.subscribe(heard.append, TasksBegun, ClientLeft)

    parts.registry.leave(client.client_id, Departure(dead=True, begun=[(2, 1)]))

    begun = TasksBegun(client.client_id, [Begun(2, 1, 0.0, 0, 0)])
    assert [begun, ClientLeft(client.client_id)] == heard
    assert 1 == parts.store.counts().running


def test_what_a_client_comes_back_with_has_begun_if_it_says_so():
    """It counts as lost, should the client not be heard again."""
    parts = ServerParts(b"a", b"b")
    client = parts.join()
    parts.exchange(client, want=2)

    parts.greet(Hello("node1", 1, 1, client.client_id, ((1, 1, True), (2, 1, False))))

    _, outcomes = parts.registry.give_up(client.client_id)
    assert [Ending.LOST, Ending.UNREPORTED] == [outcome.ending for outcome in outcomes]


def test_an_unknown_client_cannot_leave(registry):
    """Nothing comes of it."""
    assert registry.leave("nobody", Departure(dead=True)) is None
    assert registry.hear("nobody", 1) is None


def test_a_client_that_left_belongs_to_no_session(registry):
    """Not even to the first, or to none."""
    welcome = registry.join(Hello("node1", 1, 1))
    client, _ = registry.leave(welcome.client_id, Departure(dead=True))

    assert client.session not in (1, welcome.session)
    assert registry.hear(welcome.client_id, client.session) is None


def test_nobody_is_silent_while_the_server_is_about_to_stop(registry):
    """When it runs on, its own clients have a lease from then on; that of others has gone on."""
    own, other = (registry.join(Hello("node1", 1, 1)).client_id for _ in range(2))
    registry.pause()
    before = registry.wait_for_silent(timeout=0.3)

    registry.go_on({own})

    assert [] == before
    assert [other] == [client.id for client in registry.wait_for_silent(timeout=0.0)]
