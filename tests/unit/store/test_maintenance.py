"""Checking and shrinking a task database, and making its tables."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hypershell.store.sql.engine import Database, initialize_database, open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseForeign, TablesMissing
from hypershell.store.sql.maintenance import census, complaints, vacuum
from tests.helpers.stored import run_tasks


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite database in which three tasks ran, of which the first failed."""
    url = sqlite_url(tmp_path / "t.db")
    run_tasks(url, b"true", b"false", b"true", codes=[1])
    return url


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    """Open databases, and close them in the end."""
    databases: list[Database] = []

    def open_(url: str) -> Database:
        databases.append(open_database(url))
        return databases[-1]

    yield open_
    for database in databases:
        database.close()


def execute(database: Database, statement: str) -> None:
    """Run a statement that no server would."""
    with database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_a_run_leaves_a_whole_database(url, opened):
    """Nothing is wrong, and all of it is counted."""
    database = opened(url)

    found = census(database)

    assert [] == list(complaints(database))
    assert (1, 3, 3, {"succeeded": 2, "failed": 1}) == found


def test_the_same_in_postgresql(postgres_url, opened):
    """The rules are asked of either."""
    run_tasks(postgres_url, b"true", b"false", codes=[1])
    database = opened(postgres_url)

    found = census(database)

    assert [] == list(complaints(database))
    assert (1, 2, 2, {"succeeded": 1, "failed": 1}) == found


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE tasks SET state = 9 WHERE id = 2", "task 2 has an unknown state"),
        (
            "UPDATE tasks SET state = 1, lease = 0 WHERE id = 1",
            "task 1 is with a client but was never handed out",
        ),
        (
            "UPDATE attempts SET code = 4 WHERE task > 1",
            "task 2 succeeded without having run (and 1 more)",
        ),
        ("DELETE FROM attempts WHERE task = 1", "task 1 failed without an attempt"),
        ("DELETE FROM causes", "task 1 failed for a cause that does not exist"),
        (
            "UPDATE tasks SET cancelling = true",
            "task 1 is being cancelled but is not with a client",
        ),
        ("UPDATE tasks SET run = 7", "task 1 belongs to a run that does not exist (and 2 more)"),
        ("UPDATE runs SET lines_read = 2", "task 3 comes from a line that its run has not read"),
        ("DELETE FROM tasks WHERE id = 3", "task 3 has an attempt but does not exist"),
        (
            "UPDATE attempts SET number = 5 WHERE task = 2",
            "task 2 has an attempt with a wrong number",
        ),
        (
            "UPDATE attempts SET ending = 99 WHERE task = 1",
            "task 1 has an attempt with an unknown ending",
        ),
        ("INSERT INTO tags VALUES ('k', 'v', 44)", "task 44 has tags but does not exist"),
        ("INSERT INTO outputs VALUES (44, x'00', x'00')", "task 44 has output but does not exist"),
    ],
)
def test_what_cannot_be_is_told(url, opened, statement, complaint):
    """Each rule finds the tasks that break it, and names the first."""
    database = opened(url)

    execute(database, statement)

    assert any(found.startswith(complaint) for found in complaints(database))


def test_damage_that_only_sqlite_sees_is_told(url, opened, tmp_path):
    """An index that has lost what it was to find."""
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'tasks_state'"
        page = connection.execute(query).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    pages = bytearray(path.read_bytes())
    empty_leaf = b"\x0a" + bytes(4) + size.to_bytes(2, "big") + b"\0"
    pages[size * (page - 1) : size * page] = empty_leaf.ljust(size, b"\0")
    path.write_bytes(pages)

    found = list(complaints(opened(url)))

    assert any("tasks_state" in complaint for complaint in found)


def test_vacuum_gives_room_back(url, opened):
    """Of what was deleted nothing stays in the file."""
    database = opened(url)
    execute(database, "INSERT INTO outputs VALUES (1, zeroblob(3000000), x'')")
    execute(database, "DELETE FROM outputs")

    room = vacuum(database)

    assert room.before > 3_000_000
    assert room.after < 300_000
    assert [] == list(complaints(database))


def test_vacuum_works_in_postgresql(postgres_url, opened):
    """Outside of a transaction, as it must be."""
    run_tasks(postgres_url, b"true")
    database = opened(postgres_url)

    room = vacuum(database)

    assert room.after > 0


def test_tables_are_made_once(postgres_url, opened):
    """A database without them is refused; making them twice changes nothing."""
    with pytest.raises(TablesMissing):
        open_database(postgres_url)

    made = [initialize_database(postgres_url), initialize_database(postgres_url)]

    assert [True, False] == made
    assert 0 == census(opened(postgres_url)).tasks


def test_tables_of_something_else_stay_alone(postgres, postgres_url):
    """A table that happens to be called as one of ours is not taken for it."""
    postgres.execute("CREATE TABLE tasks (id int)", postgres_url)

    with pytest.raises(DatabaseForeign):
        initialize_database(postgres_url)

    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert [("tasks",)] == postgres.execute(query, postgres_url)


def test_making_a_file_says_whether_it_was_there(tmp_path):
    """SQLite needs no preparation, and does not mind."""
    url = sqlite_url(tmp_path / "new.db")

    made = [initialize_database(url), initialize_database(url)]

    assert [True, False] == made
