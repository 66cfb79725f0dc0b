"""Changes that people make to the tasks of a run, while other things happen to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.core.selection import Changed, Selection
from hypershell.core.task import Policy
from hypershell.store.engine import sqlite_url
from hypershell.store.journal import Found
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
    find = run.kept.ledger.find

    def find_late(selection: Selection) -> list[Found]:
        found = find(selection)
        run.finish(ended(task, code=1))
        return found

    run.kept.ledger.find = find_late  # type: ignore[method-assign]

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
