"""Changes that people make to the tasks of a run, while other things happen to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.core.query.selection import Changed, Selection
from hypershell.core.retry import Policy
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseOvertaken
from hypershell.store.sql.offline import Offline
from hypershell.store.tasks.journal import Found
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


def test_a_question_that_the_database_refuses_ends_nothing(postgres_url: str):
    """A pattern that Python can read, and PostgreSQL cannot: who asks is told, and the run goes on.

    Nobody but the run writes, and what people ask is none of its writing.
    """
    with StoredRun(postgres_url) as run:
        run.add(b"a")

        with pytest.raises(ValueError, match="invalid repetition count"):
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
