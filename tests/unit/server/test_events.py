"""The bus: who hears of an event, when, and what it costs where nobody does."""

import threading

import pytest

from hypershell.server.events import CapacityFreed, ClientLeft, EventBus, TasksAdded, TasksLeased
from tests.helpers.fakes import ServerParts


class Never:
    """An event that must not be made."""

    def __init__(self) -> None:
        raise AssertionError("it was made")


def test_subscribers_hear_of_an_event_in_the_order_in_which_they_subscribed():
    """In the thread that publishes it, before `publish` returns."""
    bus, heard = EventBus(), []
    for name in (1, 2):
        bus.subscribe(
            lambda e, name=name: heard.append((name, e, threading.get_ident())), CapacityFreed
        )

    bus.publish(CapacityFreed)

    here = threading.get_ident()
    assert [(1, CapacityFreed(), here), (2, CapacityFreed(), here)] == heard


def test_only_events_of_the_type_are_heard():
    """One subscriber may name several types."""
    bus, heard = EventBus(), []
    bus.subscribe(heard.append, CapacityFreed, TasksAdded)

    bus.publish(ClientLeft, "0a1b2c3d")
    bus.publish(TasksAdded, 3)

    assert [TasksAdded(3)] == heard


def test_an_event_that_nobody_hears_of_is_not_made():
    """It costs a look into a table."""
    EventBus().publish(Never)


def test_what_a_subscriber_raises_goes_to_the_publisher():
    """Those after it do not hear of the event: the run is about to end."""
    bus, heard = EventBus(), []

    def fail(_: CapacityFreed) -> None:
        raise RuntimeError("broken")

    bus.subscribe(fail, CapacityFreed)
    bus.subscribe(heard.append, CapacityFreed)

    with pytest.raises(RuntimeError, match="broken"):
        bus.publish(CapacityFreed)
    assert [] == heard


def test_a_batch_is_one_event():
    """However many tasks a client takes at once."""
    parts = ServerParts(b"a", b"b", b"c")
    client = parts.join()
    leased = parts.heard(TasksLeased)

    parts.exchange(client, want=3)

    assert [(client.client_id, [1, 2, 3])] == [
        (event.client_id, [task.id for task in event.tasks]) for event in leased
    ]


def test_no_lock_of_the_queue_is_held_while_an_event_is_delivered():
    """A subscriber may wait for a thread that needs it."""
    parts = ServerParts(*[b"a"] * 1000)
    client = parts.join()
    free = []

    def look(_: object) -> None:
        other = threading.Thread(target=lambda: free.append(parts.scheduled.parked()))
        other.start()
        other.join(5.0)

    parts.bus.subscribe(look, TasksLeased, CapacityFreed, ClientLeft)
    parts.exchange(client, want=1000)

    assert [0, 0] == free
