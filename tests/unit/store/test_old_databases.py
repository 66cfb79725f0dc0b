"""Databases of each version of the tables that there was open for ever."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from hypershell.core.ending import Ending
from hypershell.core.run_mode import RunMode
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.export import export
from hypershell.store.sql.maintenance import census, complaints
from hypershell.store.sql.migrations import migrate
from hypershell.store.sql.rows import task_of
from hypershell.store.sql.runs import owed_lines
from hypershell.store.sql.schema import FACTS, TASKS, VERSION
from tests.helpers.stored import CLIENT, StoredRun, ended

OLD = Path(__file__).parent / "old"

STATES = {"succeeded": 3, "failed": 2, "cancelled": 1, "interrupted": 1}


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

    unfinished = {name: number for name, number in found[0].states.items() if name not in STATES}
    assert (STATES | unfinished, []) == (found[0].states, found[1])
    # What a client may hold counts as waiting, until it is known to have begun.
    assert unfinished in ({"waiting": 6}, {"waiting": 5, "running": 1})


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
        orphans = run.store.recovery.orphans()
        to_cancel = run.store.to_cancel()
        first = run.store.lease(9)
        run.finish(
            *map(ended, first), *(orphan._replace(ending=Ending.EXITED) for orphan in orphans)
        )
        rest = run.store.lease(9)
        run.finish(*map(ended, rest))
        counts = run.store.counts()

    assert [(5, b"exit 4")] == [(task_id, line) for task_id, line, _ in owed]
    assert [(8, 1)] == to_cancel
    assert [8, 9] == [outcome.task_id for outcome in orphans]
    assert [(3, b"false \xff"), (5, b"exit 4")] == [(task.id, task.line) for task in first[:2]]
    assert [7] == [task.id for task in first[2:]]
    assert [10, 11, 12, 13] == [task.id for task in rest]
    assert (9, 0) == (counts.succeeded, counts.unfinished)


@pytest.fixture
def first(tmp_path) -> Path:
    """A database of the first version, with settings that it had a column for each of."""
    path = tmp_path / "old.db"
    shutil.copyfile(OLD / "v1.db", path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tasks SET max_retries = 5 WHERE id IN (10, 11)")
        connection.execute("UPDATE tasks SET captured = 1 WHERE id IN (11, 12)")
    return path


SPECS = {
    10: TaskSpec(max_retries=5),
    11: TaskSpec(max_retries=5, capture=True),
    12: TaskSpec(capture=True),
}


@pytest.mark.parametrize("read_only", [True, False])
def test_settings_of_the_first_version_survive(first, read_only):
    """Where the tables are changed, and where they may only be read."""
    database = open_database(sqlite_url(first), read_only=read_only)

    with database.reading() as connection:
        tasks = [task_of(row) for row in connection.execute(select(TASKS))]
    database.close()

    assert SPECS == {task.id: task.spec for task in tasks if task.spec != DEFAULT_SPEC}
    assert [18, 20] == [task.sequence for task in tasks if task.id in (9, 10)]


TO_VERSION_1 = (
    "DROP TABLE running",
    "DROP TABLE starts",
    "ALTER TABLE tasks DROP COLUMN made_in",
    "ALTER TABLE tasks DROP COLUMN cwd",
    "ALTER TABLE runs DROP COLUMN made_in",
    "ALTER TABLE runs DROP COLUMN cwd",
    "DROP TABLE directories",
    "ALTER TABLE tasks RENAME COLUMN sequence TO turn",
    "ALTER TABLE tasks DROP COLUMN spec",
    "ALTER TABLE tasks ADD COLUMN max_retries INTEGER NOT NULL DEFAULT -1",
    "ALTER TABLE tasks ADD COLUMN captured BOOLEAN NOT NULL DEFAULT FALSE",
    "UPDATE tasks SET max_retries = 5 WHERE id IN (10, 11)",
    "UPDATE tasks SET captured = TRUE WHERE id IN (11, 12)",
    "UPDATE facts SET value = '1' WHERE name = 'version'",
)


def test_settings_of_the_first_version_survive_in_postgresql(postgres):
    """Read as they stand, and then with the tables changed; and a run goes on with them."""
    url = postgres.new_url()
    with StoredRun(url) as run:
        run.add(*[b"task %d" % number for number in range(12)])
    for statement in TO_VERSION_1:
        postgres.execute(statement, url)

    found = []
    for read_only in (True, False):
        database = open_database(url, read_only=read_only)
        with database.reading() as connection:
            tasks = [task_of(row) for row in connection.execute(select(TASKS))]
        found.append({task.id: task.spec for task in tasks if task.spec != DEFAULT_SPEC})
        database.close()
    with StoredRun(url, RunMode.RESTART) as run:
        leased = {task.id: task.spec for task in run.store.lease(20)}

    assert [SPECS, SPECS] == found
    assert {number: SPECS.get(number, DEFAULT_SPEC) for number in range(1, 13)} == leased


def test_tables_that_somebody_else_upgraded_meanwhile_stay(first):
    """Two commands may find an old version; the one that may write later finds it changed."""
    database = open_database(sqlite_url(first))

    with database.writing() as connection:
        migrate(connection)
        version = connection.execute(select(FACTS.c.value)).scalar_one()
    database.close()

    assert str(VERSION) == version


KILLED = """if True:
    import os, signal, sys
    from hypershell.store.sql import migrations
    from hypershell.store.sql.engine import open_database

    def change(connection, changed=migrations.MIGRATIONS[1]):
        changed(connection)
        os.kill(os.getpid(), signal.SIGKILL)

    migrations.MIGRATIONS[1] = change
    open_database(sys.argv[1])
"""


def test_a_kill_in_the_middle_of_an_upgrade_loses_nothing(first):
    """All of it is in one transaction: the next command finds the old tables, and changes them."""
    killed = subprocess.run([sys.executable, "-c", KILLED, sqlite_url(first)], check=False)

    database = open_database(sqlite_url(first))
    with database.reading() as connection:
        tasks = [task_of(row) for row in connection.execute(select(TASKS))]
    database.close()

    assert -signal.SIGKILL == killed.returncode
    assert SPECS == {task.id: task.spec for task in tasks if task.spec != DEFAULT_SPEC}


def test_an_upgraded_database_has_the_tables_of_a_new_one(first, tmp_path):
    """The same columns and indexes, whatever their order."""
    upgraded, new = tmp_path / "old.db", tmp_path / "new.db"
    for path in (upgraded, new):
        open_database(sqlite_url(path)).close()

    found = [_layout(path) for path in (upgraded, new)]

    assert found[0] == found[1]


def _layout(path: Path) -> dict[str, object]:
    with closing(sqlite3.connect(path)) as connection:
        columns = connection.execute("PRAGMA table_info(tasks)").fetchall()
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'tasks'"
        )
        named = {name: " ".join((sql or "").split()) for name, sql in indexes}
    return {"columns": sorted(column[1:] for column in columns), "indexes": named}


def test_the_clients_of_an_old_database_are_known(url):
    """By their ids, as attempts name them."""
    database = open_database(url)

    with database.reading() as connection:
        ids = connection.exec_driver_sql("SELECT id FROM clients ORDER BY id").scalars().all()
    database.close()

    assert [CLIENT, "89abcdef"] == ids
