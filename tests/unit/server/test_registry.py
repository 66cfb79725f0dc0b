"""Who lives: a client that is not heard for its lease is given up."""

import threading
import time

import pytest

from hypershell.core.task import Ending
from hypershell.server.state.registry import Roster
from hypershell.wire.worker_messages import Hello
from tests.helpers.fakes import Call, ServerParts


@pytest.fixture
def roster() -> Roster:
    """A roster with a short lease."""
    return Roster(threading.RLock(), 0.2, 0.05)


def test_a_client_that_is_heard_is_not_silent(roster):
    """However long it has been here."""
    welcome = roster.join(Hello("node1", 1, 1))
    roster.hear(welcome.client_id, 1)

    assert [] == roster.wait_for_silent(timeout=0.0)


def test_a_client_is_silent_after_its_lease(roster):
    """Not before it is over."""
    begin = time.monotonic()
    welcome = roster.join(Hello("node1", 1, 1))

    silent: list[str] = []
    while not silent:
        silent = [client.id for client in roster.wait_for_silent(timeout=5.0)]

    assert [welcome.client_id] == silent
    assert 0.2 <= time.monotonic() - begin < 2.0


def test_an_empty_roster_is_waited_for_as_long_as_asked(roster):
    """And no client is named."""
    begin = time.monotonic()

    assert [] == roster.wait_for_silent(timeout=0.05)
    assert time.monotonic() - begin >= 0.04


def test_a_wake_ends_the_wait(roster):
    """The server is ending."""
    call = Call(roster.wait_for_silent, 10.0)

    while not call.is_over(0.01):
        roster.wake()

    assert [] == call.result()


def test_a_client_that_joins_ends_the_wait(roster):
    """Its lease may be over before the time that was asked for."""
    call = Call(roster.wait_for_silent, 10.0)
    assert not call.is_over(0.05)

    roster.join(Hello("node1", 1, 1))

    call.result()


def test_a_client_that_came_back_was_heard(roster):
    """Its lease begins anew."""
    welcome = roster.join(Hello("node1", 1, 1))
    client = roster.clients()[0]
    client.heard -= 1.0

    roster.join(Hello("node1", 1, 1, welcome.client_id))

    assert [] == roster.wait_for_silent(timeout=0.0)


def test_what_a_lost_client_held_is_lost_with_it():
    """Each claim under its own lease."""
    parts = ServerParts(b"a", b"b", b"c")
    client = parts.join()
    parts.exchange(client, want=2)

    _, outcomes = parts.roster.leave(client.client_id, Ending.LOST)

    assert [(1, 1, Ending.LOST), (2, 1, Ending.LOST)] == [o[:3] for o in outcomes]


def test_an_unknown_client_cannot_leave(roster):
    """Nothing comes of it."""
    assert roster.leave("nobody", Ending.LOST) is None
    assert roster.hear("nobody", 1) is None


def test_a_client_that_left_belongs_to_no_session(roster):
    """Not even to the first, or to none."""
    welcome = roster.join(Hello("node1", 1, 1))
    client, _ = roster.leave(welcome.client_id, Ending.LOST)

    assert client.session not in (1, welcome.session)
    assert roster.hear(welcome.client_id, client.session) is None
