"""Changes that people make to the tasks of a run, while other things happen to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.core.query.selection import Changed, Selection
from hypershell.core.retry import Policy
from hypershell.core.task import new_task
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseOvertaken
from hypershell.store.sql.offline import Offline
from hypershell.store.tasks.journal import Found
from hypershell.store.tasks.task_store import TaskStore
from tests.helpers.stored import StoredRun, ended


@pytest.fixture
def run(tmp_path: Path) -> Iterator[StoredRun]:
    """A run with a retry for each task, and a place for one of them in memory."""
    with StoredRun(
        sqlite_url(tmp_path / "farm.db"), policy=Policy(max_retries=1), most_tasks=1
    ) as run:
        yield run


def test_what_comes_back_while_it_is_looked_for_is_cancelled(run: StoredRun):
    """It was found under way; when it is to be cancelled it waits, and only the journal has it."""
    run.add(b"a", b"b", b"c")
    (task,) = run.store.lease(1)
    find = run.kept.journal.find

    def find_late(selection: Selection) -> list[Found]:
        found = find(selection)
        run.finish(ended(task, code=1))
        return found

    run.kept.journal.find = find_late  # type: ignore[method-assign]

    changed = run.store.cancel(Selection(ids=(task.id,)))

    assert Changed(1, 0, 0) == changed
    assert 1 == run.store.counts().cancelled
    assert 1 == run.kept.queries.count(Selection(where="state = cancelled"))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_tasks_of_a_run_are_changed_by_a_pattern(
    request: pytest.FixtureRequest, tmp_path: Path, dialect: str
):
    """Cancelled, retried and deleted: those that it matches, byte by byte, in either database."""
    url = sqlite_url(tmp_path / "tasks.db")
    if dialect == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with StoredRun(url) as run:
        run.add(b"x \xff", b"x y", b"X \xff", 100_000 * b"a" + b"!", b"z")
        which = Selection(where=r"line ~ '(?i)^x \xff$' or line ~ '^(a+)+!$' and not line ~ y")

        cancelled = run.store.cancel(which)
        retried = run.store.retry(Selection(where=r"state = cancelled and line !~ '^x'"))
        deleted = run.store.delete(Selection(where=r"line ~ '\xff' and line ~ ^x"))

        rows, _ = run.kept.queries.rows(Selection(), ["id", "state"])
        assert (Changed(3), Changed(2), Changed(1)) == (cancelled, retried, deleted)
        assert [[number, "waiting"] for number in (2, 3, 4, 5)] == rows


def test_a_question_that_is_refused_ends_nothing(run: StoredRun):
    """Whoever asks is told what is wrong with it, and the run goes on."""
    run.add(b"a")

    with pytest.raises(ValueError, match="repeats too often"):
        run.store.cancel(Selection(where='line ~ "a{9999}"'))

    run.add(b"b")
    assert 2 == run.store.counts().waiting


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_others_changed_while_the_connection_was_lost_ends_the_run(postgres, postgres_url):
    """The lock in PostgreSQL is free meanwhile: what memory has may be true no more."""
    run = StoredRun(postgres_url)
    run.add(b"a")
    postgres.cut()
    other = open_database(postgres_url)
    Offline(other).cancel(Selection(ids=(1,)))
    other.close()

    with pytest.raises(DatabaseOvertaken):
        run.store.lease(1)

    assert 1 == run.kept.queries.count(Selection(where="state = cancelled"))
    run.kept.close()


def test_a_connection_that_was_lost_is_made_again_where_nobody_came_between(postgres, postgres_url):
    """The lock is taken again, and what is there is as it was left."""
    with StoredRun(postgres_url) as run:
        run.add(b"a")
        postgres.cut()

        assert [b"a"] == [task.line for task in run.store.lease(1)]


def test_what_comes_after_a_retry_is_handed_out_without_a_database():
    """Nobody else has it: memory must not take the database to know of what it lets go."""
    store = TaskStore(Policy())
    store.add([new_task(b"a", 1, store.new_id())])

    changed = store.retry(Selection(ids=(1,)))
    store.add([new_task(b"b", 2, store.new_id())])

    assert Changed(0, 0, 1) == changed
    assert [1, 2] == [task.id for task in store.lease(10)]
