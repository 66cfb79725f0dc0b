"""What `wait` answers while the database is one commit behind memory."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.server.events import EventBus, TasksFinal
from hypershell.server.planes.client_service import ClientService
from hypershell.server.planes.completion import CompletionWaiters
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.sql.engine import sqlite_url
from tests.helpers.stored import StoredRun, ended
from tests.helpers.waiting import stays, until


class Served:
    """The client plane of a run with a database, whose commits can be held up."""

    def __init__(self, path: Path) -> None:
        bus, lock, completion = EventBus(), threading.RLock(), CompletionWaiters()
        bus.subscribe(completion.note_final, TasksFinal)
        self.run = StoredRun(
            sqlite_url(path),
            policy=Policy(),
            on_final=lambda final: bus.publish(TasksFinal, final),
        )
        self.service = ClientService(
            self.run.store,
            ClientRegistry(lock, 30.0, 5.0, bus),
            ScheduledQueue(lock, 1, bus),
            {},
            bus,
            lambda seconds: True,
            completion,
            self.run.kept.queries,
        )
        self._path = path
        self.answers: list[dict[str, int]] = []

    def hold_commits(self) -> sqlite3.Connection:
        """Nothing can be written until this connection is closed; all can be read."""
        blocker = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")
        return blocker

    def ask(self, selection: Selection) -> threading.Thread:
        """Wait for a selection in a thread; the answer goes to `answers`."""

        def wait() -> None:
            self.answers.append(self.service.wait(selection.pack(), 20.0))

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """One of them."""
    served = Served(tmp_path / "farm.db")
    yield served
    served.run.close()


@pytest.mark.parametrize("which", [Selection(ids=(1,)), Selection()], ids=["ids", "everything"])
def test_a_task_that_has_ended_is_not_called_unfinished_for_ever(served: Served, which: Selection):
    """Memory has it final, the database not yet: nothing is answered from one of each."""
    (task,) = served.run.add(b"true")
    served.run.store.lease(1)
    task = task._replace(lease=1)
    blocker = served.hold_commits()
    given = threading.Thread(target=served.run.finish, args=(ended(task),), daemon=True)
    given.start()
    until(lambda: not served.run.store.unfinished(), 5, "memory has it final")

    asking = served.ask(which)
    stays(lambda: not served.answers, 0.5, "nothing is answered before it is durable")
    blocker.close()
    asking.join(10)
    given.join(10)

    assert [{"unfinished": 0, "bad": 0, "over": True}] == served.answers


def test_what_waits_for_a_group_that_failed_is_told_at_once(served: Served):
    """That is the one thing that keeps a task of an idle run from its end."""
    first, _ = served.run.add(b"false", b"true # HYPERSHELL: group:1")
    served.run.store.lease(1)
    served.run.finish(ended(first._replace(lease=1), code=1))

    served.ask(Selection(ids=(2,))).join(10)

    assert [{"unfinished": 1, "bad": 0, "over": True}] == served.answers


def test_what_is_retried_while_the_answer_is_made_is_waited_for(served: Served):
    """No verdict is given on a moment: the task that had failed runs again, and is not over."""
    (task,) = served.run.add(b"false")
    served.run.store.lease(1)
    served.run.finish(ended(task._replace(lease=1), code=1))
    outcome = served.run.kept.queries.outcome

    def outcome_after_a_retry(which: Selection) -> tuple[int, int]:
        served.run.kept.queries.outcome = outcome  # type: ignore[method-assign]
        served.service.retry(Selection(ids=(1,)).pack())
        return outcome(which)

    served.run.kept.queries.outcome = outcome_after_a_retry  # type: ignore[method-assign]

    asking = served.ask(Selection(ids=(1,)))
    (again,) = until(lambda: served.run.store.lease(1), 5, "it waits again")
    stays(lambda: not served.answers, 0.3, "it is not over")
    served.run.finish(ended(again))
    asking.join(10)

    assert [{"unfinished": 0, "bad": 0, "over": True}] == served.answers
