"""What a server does once a client of its machine is gone, with nobody left who could say so."""

import socket
from collections.abc import Callable, Iterable, Iterator

import pytest

from hypershell.core.begun import GoneClient
from hypershell.core.ending import Ending
from hypershell.core.run_mode import RunMode
from hypershell.runtime import clock
from hypershell.server.events import ClientLeft, TasksBegun
from hypershell.server.loops.dead_clients import DeadClients
from hypershell.server.loops.orphans import Orphans
from hypershell.server.loops.silent_clients import SilentClients
from hypershell.store.sql.engine import sqlite_url
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.worker_messages import Hello
from tests.helpers.fakes import ServerParts
from tests.helpers.stored import CLIENT, StoredRun


class Found:
    """What there is to be found, and who was asked for."""

    def __init__(self, *gone: GoneClient) -> None:
        self.is_busy = False
        self.gone = list(gone)
        self.asked: list[list[str]] = []
        self.removed: list[str] = []
        self.then: Callable[[], None] = lambda: None

    def look(self, client_ids: Iterable[str]) -> list[GoneClient]:
        """Those that are asked for."""
        self.asked.append(list(client_ids))
        self.then()
        return [each for each in self.gone if each.client_id in self.asked[-1]]

    def remove(self, client_id: str) -> None:
        """Note it."""
        self.removed.append(client_id)


def one_look(traces: Found, parts: ServerParts, store: TaskStore | None = None) -> None:
    """One pass, which does not wait for another."""
    orphans = Orphans(store or parts.store, parts.finished, 30.0, parts.scheduled.cancel)
    parts.bus.subscribe(orphans.note_left, ClientLeft)
    loop = DeadClients(traces, orphans, parts.registry, parts.scheduled, parts.finished, parts.bus)
    traces.then = loop.wake
    assert not loop.one_pass()


@pytest.fixture
def parts(monkeypatch) -> ServerParts:
    """A server with three tasks, some time after its last client joined."""
    parts = ServerParts(b"a", b"b", b"c")
    later = clock.monotonic() + 5.0
    parts.after_a_while = lambda: monkeypatch.setattr(clock, "monotonic", lambda: later)
    return parts


def join(parts: ServerParts, host: str) -> str:
    """A client that takes two tasks, and begins neither as far as the server has heard."""
    welcome = parts.registry.join(Hello(host, 7, 2, "", ()))
    client = parts.registry.hear(welcome.client_id, welcome.session)
    parts.scheduled.take(client, welcome.session, 2, 0.0)
    parts.registry.answered(client)
    return welcome.client_id


def test_a_client_of_ours_that_is_gone_has_lost_what_it_had_begun(parts):
    """And gives back what it had not; at once, as its supervisor would have said it."""
    client = join(parts, socket.gethostname())
    traces = Found(GoneClient(client, [(1, 1)], []))
    parts.after_a_while()

    one_look(traces, parts)

    assert [] == parts.registry.clients()
    (batch,) = parts.finished.take()
    assert [(1, Ending.LOST), (2, Ending.GIVEN_BACK)] == [
        (each.task_id, each.ending) for each in batch.outcomes
    ]
    assert [client] == traces.removed


@pytest.mark.parametrize("host", ["elsewhere", None])
def test_clients_of_other_machines_or_just_heard_are_not_looked_for(parts, host):
    """Nothing of them could be found here, or they are there."""
    join(parts, host or socket.gethostname())
    if host is not None:
        parts.after_a_while()
    traces = Found()

    one_look(traces, parts)

    assert [[]] == traces.asked


def test_a_client_that_was_given_up_meanwhile_is_not_given_up_twice(parts):
    """Its lease may end in the same moment."""
    client = join(parts, socket.gethostname())
    traces = Found(GoneClient(client, [(1, 1)], []))
    parts.after_a_while()
    orphans = Orphans(parts.store, parts.finished, 30.0, parts.scheduled.cancel)
    loop = DeadClients(traces, orphans, parts.registry, parts.scheduled, parts.finished, parts.bus)

    def given_up() -> None:
        parts.registry.give_up(client)
        loop.wake()

    traces.then = given_up
    loop.one_pass()

    assert 0 == parts.finished.size()


def test_what_a_client_left_is_ended_before_its_lease_gives_its_tasks_away(parts):
    """It was killed just before, between two looks; what it left is dead, and not gone yet."""
    client = join(parts, socket.gethostname())
    traces = Found()
    orphans = Orphans(parts.store, parts.finished, 30.0, parts.scheduled.cancel)
    loop = DeadClients(traces, orphans, parts.registry, parts.scheduled, parts.finished, parts.bus)
    silent = SilentClients(
        parts.registry, parts.scheduled, parts.finished, parts.bus, 0.0, loop.end
    )
    parts.registry._lease_seconds = 0.0
    traces.is_busy = True

    def ends_in_a_while() -> None:
        if len(traces.asked) == 3:
            traces.is_busy = False
            traces.gone = [GoneClient(client, [(1, 1)], [])]

    traces.then = ends_in_a_while
    silent.give_up()

    assert [[client]] * 3 == traces.asked
    (batch,) = parts.finished.take()
    assert [(1, Ending.LOST), (2, Ending.GIVEN_BACK)] == [
        (each.task_id, each.ending) for each in batch.outcomes
    ]


@pytest.fixture
def next_store(tmp_path) -> Iterator[TaskStore]:
    """The store of a server after one that died while a client held three tasks."""
    url = sqlite_url(tmp_path / "tasks.db")
    run = StoredRun(url)
    run.add(b"a", b"b", b"c", b"d")
    run.store.lease(3)
    run.die()
    with StoredRun(url, RunMode.FOREVER) as again:
        yield again.store


def test_a_client_of_the_server_before_has_lost_nothing(next_store):
    """What it had begun is another attempt; what it had not begun is none, and waits for others."""
    parts = ServerParts()
    parts.bus.subscribe(lambda e: next_store.begin(e.client_id, e.begun), TasksBegun)
    traces = Found(GoneClient(CLIENT, [(1, 1)], [(3, 1), (9, 9)]))

    one_look(traces, parts, next_store)

    assert [[CLIENT]] == traces.asked
    (batch,) = parts.finished.take()
    next_store.record([(batch.client.id, batch.outcomes)])
    assert [(1, Ending.ORPHANED), (3, Ending.ORPHANED)] == [
        (each.task_id, each.ending) for each in batch.outcomes
    ]
    assert next_store.recovery.all_seen()
    next_store.record([("", next_store.recovery.give_up())])
    again = {task.id: (task.attempt, task.losses, task.failures) for task in next_store.lease(9)}
    assert {1: (2, 0, 0), 2: (1, 0, 0), 3: (2, 0, 0), 4: (1, 0, 0)} == again


def test_nobody_is_looked_for_after_the_lease(next_store):
    """What they held was given to others."""
    parts = ServerParts()
    traces = Found()
    orphans = Orphans(next_store, parts.finished, 0.01, parts.scheduled.cancel)
    orphans.one_pass()
    loop = DeadClients(traces, orphans, parts.registry, parts.scheduled, parts.finished, parts.bus)
    traces.then = loop.wake

    loop.one_pass()

    assert [[]] == traces.asked
