"""From the tables of an older version to those of this one: changed where we may write, and shown
as those of this one where we may only read.

The statements here are frozen: they name what was there when a version was current.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from hypershell.store.sql.schema import FACTS, VERSION

_SQLITE = "sqlite"


def migrate(connection: Connection) -> None:
    """Bring tables of an older version up to this one, in the transaction of the connection.

    The version is read in it: another process may have changed the tables before we could write.
    """
    version = FACTS.c.name == "version"
    found = int(connection.execute(select(FACTS.c.value).where(version)).scalar_one())
    for number in range(found, VERSION):
        MIGRATIONS[number](connection)
    connection.execute(FACTS.update().where(version), {"value": str(max(found, VERSION))})


def show_as_current(reader: Engine, found: int) -> None:
    """Let the connections of an engine, which may only read, see the tables of this version.

    A temporary view belongs to its connection alone, and hides a table of the same name.
    """
    main = "main." if reader.dialect.name == _SQLITE else ""
    views = [
        f"CREATE TEMPORARY VIEW {name} AS SELECT {query.replace('{main}', main)}"
        for name, query in VIEWS[found].items()
    ]

    def prepare(raw: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        cursor = raw.cursor()
        for view in views:
            cursor.execute(view)
        cursor.close()
        raw.commit()

    reader.dispose()  # of connections that are open already
    event.listen(reader, "connect", prepare)


# From version 1 to 2: tasks have their settings in one column, and `turn` is called `sequence`.

_SPEC_OF_1 = """\
CASE
  WHEN max_retries >= 0 AND captured THEN '{"max_retries":' || max_retries || ',"capture":true}'
  WHEN max_retries >= 0 THEN '{"max_retries":' || max_retries || '}'
  WHEN captured THEN '{"capture":true}'
END"""

_BEFORE_SEQUENCE = 'id, line, tags, "group", rank'
_AFTER_SEQUENCE = """\
run, scope, number, state, lease, attempt, failures, losses, cancelling, owed, added_at, cause,
outcome_attempt"""

_COLUMNS_OF_1 = f"{_BEFORE_SEQUENCE}, turn AS sequence, {_AFTER_SEQUENCE}, {_SPEC_OF_1} AS spec"
_COLUMNS_OF_2 = f"{_BEFORE_SEQUENCE}, sequence, {_AFTER_SEQUENCE}, spec"

_FROM_1_POSTGRESQL = (
    "ALTER TABLE tasks ADD COLUMN spec TEXT",
    f"UPDATE tasks SET spec = {_SPEC_OF_1} WHERE max_retries >= 0 OR captured",
    "ALTER TABLE tasks RENAME COLUMN turn TO sequence",
    "ALTER TABLE tasks DROP COLUMN max_retries",
    "ALTER TABLE tasks DROP COLUMN captured",
)

# SQLite drops columns since 3.35, and writes every row for it: a new table costs the same.
_FROM_1_SQLITE = (
    """\
    CREATE TABLE tasks_2 (
        id INTEGER NOT NULL,
        line BLOB NOT NULL,
        tags TEXT,
        "group" INTEGER NOT NULL,
        rank INTEGER NOT NULL,
        sequence BIGINT NOT NULL,
        run INTEGER NOT NULL,
        scope INTEGER NOT NULL,
        number BIGINT NOT NULL,
        state SMALLINT NOT NULL,
        lease INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        losses INTEGER NOT NULL,
        cancelling BOOLEAN NOT NULL,
        owed BOOLEAN NOT NULL,
        added_at DOUBLE NOT NULL,
        cause INTEGER,
        outcome_attempt INTEGER,
        spec TEXT,
        PRIMARY KEY (id)
    )""",
    f"INSERT INTO tasks_2 ({_COLUMNS_OF_2}) SELECT {_COLUMNS_OF_1} FROM tasks",
    "DROP TABLE tasks",
    "ALTER TABLE tasks_2 RENAME TO tasks",
    """\
    CREATE INDEX tasks_waiting ON tasks (scope, "group", rank, sequence, id) WHERE state = 0""",
    "CREATE INDEX tasks_state ON tasks (state, id) WHERE state NOT IN (0, 2)",
    "CREATE INDEX tasks_owed ON tasks (id) WHERE owed",
)


def _from_1(connection: Connection) -> None:
    on_sqlite = connection.dialect.name == _SQLITE
    for statement in _FROM_1_SQLITE if on_sqlite else _FROM_1_POSTGRESQL:
        connection.exec_driver_sql(statement)


# From version 2 to 3: runs and tasks say where they were made, and where they run.

_FROM_2 = (
    """\
    CREATE TABLE directories (
        id INTEGER NOT NULL,
        path {bytes} NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (path)
    )""",
    "ALTER TABLE runs ADD COLUMN made_in INTEGER",
    "ALTER TABLE runs ADD COLUMN cwd INTEGER",
    "ALTER TABLE tasks ADD COLUMN made_in INTEGER",
    "ALTER TABLE tasks ADD COLUMN cwd INTEGER",
)


def _from_2(connection: Connection) -> None:
    kind = "BLOB" if connection.dialect.name == _SQLITE else "BYTEA"
    for statement in _FROM_2:
        connection.exec_driver_sql(statement.format(bytes=kind))


# From version 3 to 4: what runs is told from what was handed out, with where it runs.

_FROM_3 = """\
CREATE TABLE running (
    task BIGINT NOT NULL,
    client TEXT NOT NULL,
    slot INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (task)
)"""


def _from_3(connection: Connection) -> None:
    rowless = " WITHOUT ROWID" if connection.dialect.name == _SQLITE else ""
    connection.exec_driver_sql(_FROM_3 + rowless)


MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _from_1, 2: _from_2, 3: _from_3}
"""What takes the tables of one version to the next. Version 1 is the first."""

_NOWHERE = "CAST(NULL AS INTEGER) AS made_in, CAST(NULL AS INTEGER) AS cwd"
_NEW_IN_3 = {
    "runs": f"*, {_NOWHERE} FROM {{main}}runs",
    "directories": "id, path FROM {main}runs WHERE 1 = 0",
}
_NEW_IN_4 = {
    "running": """\
id AS task, uid AS client, pid AS slot, pid, started_at FROM {main}runs WHERE 1 = 0""",
}

VIEWS: dict[int, dict[str, str]] = {
    1: {"tasks": f"{_COLUMNS_OF_1}, {_NOWHERE} FROM {{main}}tasks", **_NEW_IN_3, **_NEW_IN_4},
    2: {"tasks": f"{_COLUMNS_OF_2}, {_NOWHERE} FROM {{main}}tasks", **_NEW_IN_3, **_NEW_IN_4},
    3: _NEW_IN_4,
}
"""The tables of this version, as queries of those of an older one."""
