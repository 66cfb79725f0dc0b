"""Databases of each version of the tables that there was open for ever."""

import shutil
from pathlib import Path

import pytest

from hypershell.core.ending import Ending
from hypershell.core.run_mode import RunMode
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.export import export
from hypershell.store.sql.maintenance import census, complaints
from hypershell.store.sql.runs import owed_lines
from hypershell.store.sql.schema import VERSION
from tests.helpers.stored import CLIENT, StoredRun, ended

OLD = Path(__file__).parent / "old"

STATES = {"succeeded": 3, "failed": 2, "cancelled": 1, "interrupted": 1, "sent": 2, "waiting": 4}


@pytest.fixture(params=[f"v{n}.db" for n in range(1, VERSION + 1)])
def url(request, tmp_path) -> str:
    """A copy of an old database."""
    path = tmp_path / "old.db"
    shutil.copyfile(OLD / request.param, path)
    return sqlite_url(path)


def test_an_old_database_opens_and_is_whole(url):
    """Nothing is lost of what was in it."""
    database = open_database(url)

    found = census(database), list(complaints(database))
    database.close()

    assert (STATES, []) == (found[0].states, found[1])


def test_an_old_database_can_be_read_as_it_stands(url):
    """Where nobody may write, as well."""
    Path(url.removeprefix("sqlite:///")).chmod(0o400)
    database = open_database(url, read_only=True)

    lines = b"".join(export(database, "json")).splitlines()
    database.close()

    assert 13 == len(lines)


def test_a_run_goes_on_in_an_old_database(url):
    """With what has failed, what waits, and what clients of a server that died may hold."""
    with StoredRun(url, RunMode.RESTART) as run:
        owed = owed_lines(run.kept.database, None)
        orphans = run.store.orphans()
        to_cancel = run.store.to_cancel()
        first = run.store.lease(9)
        run.finish(
            *map(ended, first), *(orphan._replace(ending=Ending.EXITED) for orphan in orphans)
        )
        rest = run.store.lease(9)
        run.finish(*map(ended, rest))
        counts = run.store.counts()

    assert [(5, b"exit 4")] == owed
    assert [(8, 1)] == to_cancel
    assert [8, 9] == [outcome.task_id for outcome in orphans]
    assert [(3, b"false \xff"), (5, b"exit 4")] == [(task.id, task.line) for task in first[:2]]
    assert [7] == [task.id for task in first[2:]]
    assert [10, 11, 12, 13] == [task.id for task in rest]
    assert (9, 0) == (counts.succeeded, counts.unfinished)


def test_the_clients_of_an_old_database_are_known(url):
    """By their ids, as attempts name them."""
    database = open_database(url)

    with database.reading() as connection:
        ids = connection.exec_driver_sql("SELECT id FROM clients ORDER BY id").scalars().all()
    database.close()

    assert [CLIENT, "89abcdef"] == ids
