"""Maintenance of a task database: whether it is intact, and the space that it takes."""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from hypershell.core.ending import Ending
from hypershell.core.state import HANDED_OUT, SHOWN_STATES, shown_as
from hypershell.store.sql.engine import Database
from hypershell.store.sql.location import SQLITE
from hypershell.store.sql.schema import RUNNING_NUMBER, STATE_NUMBERS, is_in

_MAX_SHOWN = 100
"""Most complaints of SQLite's own check that are shown."""

_T = "SELECT t.id FROM tasks t WHERE"
_A = "SELECT a.task FROM attempts a WHERE"
_ENDINGS = ", ".join(str(int(ending)) for ending in Ending)
_LAST = "a.task = t.id AND a.number = t.outcome_attempt"

_IS_OUT = is_in(HANDED_OUT)

_RULES: dict[str, str] = {
    "has an unknown state": f"{_T} t.state NOT BETWEEN 0 AND {max(STATE_NUMBERS.values())}",
    "is with a client but was never handed out": f"{_T} t.{_IS_OUT} AND t.lease < 1",
    "is running nowhere": f"""{_T} t.state = {RUNNING_NUMBER} AND NOT EXISTS (
        SELECT 1 FROM running r WHERE r.task = t.id)""",
    "succeeded without having run": f"""{_T} t.state = 2 AND NOT EXISTS (
        SELECT 1 FROM attempts a
        WHERE {_LAST} AND a.ending = {int(Ending.EXITED)} AND a.code = 0)""",
    "failed without an attempt": f"""{_T} t.state = 3 AND NOT EXISTS (
        SELECT 1 FROM attempts a WHERE {_LAST})""",
    "has a last attempt that does not exist": f"""{_T} t.outcome_attempt IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM attempts a WHERE {_LAST})""",
    "failed for a cause that does not exist": f"""{_T} t.state = 3
        AND (t.cause IS NULL OR NOT EXISTS (SELECT 1 FROM causes c WHERE c.id = t.cause))""",
    "is being cancelled but is not with a client": f"{_T} t.cancelling AND NOT t.{_IS_OUT}",
    "belongs to a run that does not exist": f"""{_T}
        (t.run <> 0 AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = t.run))
        OR (t.scope <> 0 AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = t.scope))""",
    "comes from a line that its run has not read": f"""{_T} t.number > 0 AND EXISTS (
        SELECT 1 FROM runs r WHERE r.id = t.run AND r.lines_read < t.number)""",
    "has an attempt but does not exist": f"""{_A} NOT EXISTS (
        SELECT 1 FROM tasks t WHERE t.id = a.task)""",
    "has an attempt with a wrong number": f"""{_A} EXISTS (
        SELECT 1 FROM tasks t WHERE t.id = a.task AND a.number NOT BETWEEN 1 AND t.attempt)""",
    "has an attempt with an unknown ending": f"{_A} a.ending NOT IN ({_ENDINGS})",
    "has output but does not exist": """SELECT o.task FROM outputs o WHERE NOT EXISTS (
        SELECT 1 FROM tasks t WHERE t.id = o.task)""",
    "is running but does not exist": """SELECT r.task FROM running r WHERE NOT EXISTS (
        SELECT 1 FROM tasks t WHERE t.id = r.task)""",
    "has tags but does not exist": """SELECT g.task FROM tags g WHERE NOT EXISTS (
        SELECT 1 FROM tasks t WHERE t.id = g.task)""",
}
"""Facts that must not be true of any task, with a query for the ids of tasks that break them."""


class Census(NamedTuple):
    """How many of everything there are; tasks by the name of their state."""

    runs: int
    tasks: int
    attempts: int
    states: dict[str, int]


class FileSize(NamedTuple):
    """Bytes that a database takes."""

    before: int
    after: int


def complaints(database: Database) -> Iterator[str]:
    """The faults of a database, one line each; empty if it is intact. DatabaseUnusable."""
    with database.reading() as connection:
        if database.dialect == SQLITE:
            for row in connection.exec_driver_sql(f"PRAGMA integrity_check({_MAX_SHOWN})"):
                if row[0] != "ok":
                    yield str(row[0])
        for what, query in _RULES.items():
            counted = f"WITH found (id) AS ({query}) SELECT count(*), min(id) FROM found"
            number, example = connection.exec_driver_sql(counted).one()
            if number:
                more = f" (and {number - 1} more)" if number > 1 else ""
                yield f"task {example} {what}{more}"


def census(database: Database) -> Census:
    """Count what is there. DatabaseUnusable."""
    with database.reading() as connection:
        query = "SELECT state, count(*) FROM tasks GROUP BY state"
        found = {int(row[0]): int(row[1]) for row in connection.exec_driver_sql(query)}
        by_name = dict.fromkeys((state.value for state in SHOWN_STATES), 0)
        for state, number in STATE_NUMBERS.items():
            by_name[shown_as(state).value] += found.get(number, 0)
        return Census(
            runs=_count(connection, "runs"),
            tasks=sum(found.values()),
            attempts=_count(connection, "attempts"),
            states={name: number for name, number in by_name.items() if number},
        )


def vacuum(database: Database) -> FileSize:
    """Return unused space to the file system. DatabaseUnusable."""
    connection = database.connect()
    try:
        before = _size(connection)
        if database.dialect == SQLITE:
            connection.rollback()
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        else:
            connection.rollback()
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("VACUUM (ANALYZE)")
        return FileSize(before, _size(connection))
    except (DBAPIError, sqlite3.Error) as error:
        raise database.explain(error) from error
    finally:
        connection.close()


def _count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def _size(connection: Connection) -> int:
    """Bytes of a database, without its journal."""
    query = "SELECT pg_database_size(current_database())"
    if connection.dialect.name == SQLITE:
        query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(connection.exec_driver_sql(query).scalar_one())
