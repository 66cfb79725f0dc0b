"""What becomes of tasks that were handed out by a server that died."""

from collections.abc import Iterator

import pytest

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.run_mode import RunMode
from hypershell.store.sql.engine import sqlite_url
from tests.helpers.stored import CLIENT, StoredRun


@pytest.fixture
def after(tmp_path) -> Iterator[StoredRun]:
    """A run after one that died: of three tasks that were handed out, the first had begun."""
    url = sqlite_url(tmp_path / "tasks.db")
    run = StoredRun(url)
    run.add(b"a", b"b", b"c")
    first, *_ = run.store.lease(3)
    run.store.begin(CLIENT, [Begun(first.id, first.lease, 1e9, 1, 77)])
    run.store.wait_until_durable()
    run.die()
    with StoredRun(url, RunMode.FOREVER) as again:
        yield again


def test_what_no_client_holds_never_began_when_all_are_back(after):
    """It reached none of them, so it goes out as the same attempt."""
    adopted = after.store.recovery.adopt(CLIENT, [(1, 1), (2, 1)])

    assert [1, 2] == [task.id for task in adopted]
    assert [(3, 1, Ending.GIVEN_BACK)] == [orphan[:3] for orphan in after.store.recovery.orphans()]


def test_of_what_is_left_at_the_end_of_the_lease_nobody_knows(after):
    """But what was known to have begun is lost."""
    after.store.record([("", after.store.recovery.orphans())])

    tasks = {task.id: task for task in after.store.lease(3)}
    assert [(2, 0), (2, 0), (2, 0)] == [(tasks[i].attempt, tasks[i].losses) for i in (1, 2, 3)]
    assert 1 == after.store.counts().retried


def test_what_had_begun_is_no_loss_when_its_server_died_with_its_client(after):
    """It left for good, and never said how it ended."""
    after.store.recovery.seen(CLIENT)

    endings = [orphan.ending for orphan in after.store.recovery.orphans()]

    assert [Ending.ORPHANED, Ending.GIVEN_BACK, Ending.GIVEN_BACK] == endings


def test_what_runs_is_known_after_a_restart(after):
    """And counts as running until its client says otherwise."""
    counts = after.store.counts()

    assert (1, 2) == (counts.running, counts.sent)
