"""Clients that come to a server which was started again, and those whose calls take long."""

import threading
import time

import pytest

from hypershell.core.ending import Ending
from hypershell.core.task import Task
from hypershell.server.events import ClientJoined, EventBus
from hypershell.server.state.client import Client
from hypershell.server.state.registry import ClientRegistry, Departure
from hypershell.wire.worker_messages import Hello
from tests.helpers.fakes import Call

HELD = ((1, 1), (2, 5), (3, 1))
OLD = Hello("node1", 7, 2, "0a1b2c3d", tuple((*pair, True) for pair in HELD))


class Adopting:
    """A roster that adopts what it is told to, and what it asked and said."""

    def __init__(self, claims: list[tuple[int, int]] | None) -> None:
        self.asked: list[tuple[str, list[tuple[int, int]]]] = []
        self.joined: list[ClientJoined] = []
        self._claims = claims
        bus = EventBus()
        bus.subscribe(self.joined.append, ClientJoined)
        self.registry = ClientRegistry(threading.RLock(), 30.0, 5.0, bus, self._adopt)

    def _adopt(self, client_id, held):
        self.asked.append((client_id, held))
        if self._claims is None:
            return None
        return [Task(task_id, b"true", 1, lease, losses=1) for task_id, lease in self._claims]


def test_an_adopted_client_keeps_its_name_and_its_claims():
    """What it holds besides is dropped."""
    adopting = Adopting([(1, 1), (2, 5)])

    welcome = adopting.registry.join(OLD)

    assert ("0a1b2c3d", 1, ((3, 1),)) == (welcome.client_id, welcome.session, welcome.drop)
    assert [("0a1b2c3d", [(1, 1), (2, 5), (3, 1)])] == adopting.asked
    (client,) = adopting.registry.clients()
    assert {1: 1, 2: 5} == client.claims
    assert ({1, 2}, {1: 1, 2: 1}) == (client.begun, client.suspects)
    assert [ClientJoined(client.id, "node1", 7, 2)] == adopting.joined


def test_a_client_with_nothing_to_go_on_with_may_be_adopted():
    """None is another answer than nothing."""
    adopting = Adopting([])

    welcome = adopting.registry.join(OLD)

    assert ("0a1b2c3d", HELD) == (welcome.client_id, welcome.drop)


def test_a_client_that_is_not_adopted_joins_anew():
    """Under a name of its own, with nothing."""
    adopting = Adopting(None)

    welcome = adopting.registry.join(OLD)

    assert "0a1b2c3d" != welcome.client_id
    assert HELD == welcome.drop
    assert 0 == adopting.registry.claimed()
    assert [welcome.client_id] == [event.client_id for event in adopting.joined]


@pytest.mark.parametrize("name", ["", "0A1B2C3D", "0a1b2c3", "0a1b2c3d4", "0a1b2c3d\n", "../../ab"])
def test_a_name_that_is_none_of_ours_is_not_kept(name):
    """It is written into logs and tables."""
    adopting = Adopting([(1, 1)])

    welcome = adopting.registry.join(Hello("node1", 7, 2, name, ((1, 1, True),)))

    assert [] == adopting.asked
    assert name != welcome.client_id


def test_a_client_that_is_known_is_adopted_by_nobody():
    """It comes back after a broken connection, and is no news."""
    adopting = Adopting([(1, 1)])
    adopting.registry.join(OLD)

    again = adopting.registry.join(OLD)

    assert (2, 1, 1) == (again.session, len(adopting.asked), len(adopting.joined))


def test_a_call_under_way_is_no_silence():
    """However long the server takes over it; the lease counts on from its end."""
    registry = ClientRegistry(threading.RLock(), 0.2, 0.05, EventBus())
    welcome = registry.join(Hello("node1", 1, 1))
    client = registry.hear(welcome.client_id, 1)

    begin = time.monotonic()
    while time.monotonic() - begin < 0.5:
        assert [] == registry.wait_for_silent(timeout=0.1)
    registry.answered(client)

    assert [] == registry.wait_for_silent(timeout=0.0)
    assert [client] == Call(_wait_for_silence, registry).result()


def test_the_wait_for_silence_does_not_spin_while_calls_are_under_way():
    """It looks now and then."""
    registry = ClientRegistry(threading.RLock(), 10.0, 1.0, EventBus())
    welcome = registry.join(Hello("node1", 1, 1))
    registry.hear(welcome.client_id, 1).heard -= 100.0
    begin = time.monotonic()

    assert [] == registry.wait_for_silent(timeout=0.2)

    assert time.monotonic() - begin >= 0.15


def test_what_was_cancelled_is_forgotten_with_its_claim():
    """A client that runs for weeks must not gather what is over."""
    adopting = Adopting([(1, 1)])
    adopting.registry.join(OLD)
    (client,) = adopting.registry.clients()
    client.cancelled.add((1, 1))
    client.unannounced.add((1, 1))

    _, outcomes = adopting.registry.leave(client.id, Departure(dead=True))
    client.claims[1] = 1
    adopting.registry.release(client, outcomes)

    assert (set(), set()) == (client.cancelled, client.unannounced)


def _wait_for_silence(registry: ClientRegistry) -> list[Client]:
    silent: list[Client] = []
    while not silent:
        silent = registry.wait_for_silent(timeout=1.0)
    return silent


def test_a_client_of_the_previous_server_may_leave_with_what_it_had_begun():
    """Its supervisor says so; what it held besides is told from what nobody comes back with."""
    adopting = Adopting([(1, 1), (2, 5)])
    departure = Departure(dead=True, begun=[(1, 1)], interrupted=[(2, 5)])

    client, outcomes = adopting.registry.leave("0a1b2c3d", departure)

    assert [("0a1b2c3d", [(1, 1), (2, 5)])] == adopting.asked
    assert [(1, 1, Ending.LOST), (2, 5, Ending.INTERRUPTED)] == [o[:3] for o in outcomes]
    assert ("0a1b2c3d", []) == (client.id, adopting.registry.clients())


def test_a_stranger_that_leaves_takes_nothing():
    """Whatever it says to have begun."""
    adopting = Adopting(None)

    assert adopting.registry.leave("0a1b2c3d", Departure(dead=True, begun=[(1, 1)])) is None
    assert adopting.registry.leave("nobody", Departure(dead=True, begun=[(1, 1)])) is None
