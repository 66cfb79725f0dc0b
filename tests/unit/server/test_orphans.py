"""Tasks of clients of a server that died, as the next server waits for them."""

import threading
from collections.abc import Iterator

import pytest

from hypershell.core.query.selection import Selection
from hypershell.core.run_mode import RunMode
from hypershell.server.events import EventBus
from hypershell.server.loops.orphans import Orphans
from hypershell.server.loops.scheduler import Scheduler
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.sql.engine import sqlite_url
from hypershell.store.tasks.task_store import TaskStore
from tests.helpers.stored import CLIENT, StoredRun


class Next:
    """A server after one that died while a client held the first of two tasks."""

    def __init__(self, store: TaskStore) -> None:
        self.store = store
        self.scheduled = ScheduledQueue(threading.RLock(), 1, EventBus())
        self.finished = FinishedQueue()
        self.orphans = Orphans(store, self.finished, 0.01, self.scheduled.cancel)
        Scheduler(store, self.scheduled, 1).dispatch()

    def record(self) -> None:
        """What the server has found becomes final, or waits again."""
        for batch in self.finished.take():
            self.store.record([(batch.client.id, batch.outcomes)])


@pytest.fixture
def server(tmp_path) -> Iterator[Next]:
    """The server, whose second task is scheduled."""
    url = sqlite_url(tmp_path / "tasks.db")
    run = StoredRun(url)
    run.add(b"a", b"b")
    run.store.lease(1)
    run.die()
    with StoredRun(url, RunMode.FOREVER) as again:
        yield Next(again.store)


def test_what_was_given_up_is_adopted_by_nobody(server):
    """Its client comes back before that is recorded: it would give an outcome that nobody takes."""
    server.orphans.one_pass()

    adopted = server.orphans.adopt(CLIENT, [(1, 1)])

    assert adopted is None
    server.record()
    assert [(1, 2)] == [(task.id, task.lease) for task in server.store.lease(1)]


def test_a_client_that_comes_back_loses_no_task_that_is_being_cancelled(server):
    """Another call is about to take that back from the queue, and finds it gone."""
    server.store.cancel(Selection(ids=(2,)))

    server.orphans.adopt(CLIENT, [(1, 1)])
    server.store.take_back(server.scheduled.cancel([(2, 1)]))

    assert 0 == server.scheduled.size()
    assert (1, 1) == (server.store.counts().cancelled, server.store.unfinished())
