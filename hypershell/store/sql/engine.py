"""Opens a task database, SQLite or PostgreSQL, and gives out connections to it."""

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from hypershell.core.environment import DATABASE
from hypershell.core.query.pattern import regex_matches
from hypershell.runtime import chance
from hypershell.runtime.mounts import is_local
from hypershell.store.sql.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseMissing,
    DatabaseNewer,
    DatabaseOvertaken,
    DatabaseTaken,
    DatabaseUnusable,
    DriverMissing,
    TablesMissing,
)
from hypershell.store.sql.file_lock import DatabaseLock
from hypershell.store.sql.schema import FACTS, METADATA, VERSION, make_partial_for_postgresql

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

DATABASE_FILE = "hyper-shell.db"
"""The embedded database in a server directory."""

_BUSY_SECONDS = 3.0
_ADVISORY_LOCK = 0x68797065  # "hype": who holds it is the one that writes


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return URL.create(SQLITE, database=str(path)).render_as_string()


def database_url(option: str | None, environ: Mapping[str, str], directory: Path) -> str:
    """What `--database`, HYPERSHELL_DATABASE or the default names.

    A name without a scheme is the path of a SQLite file.
    """
    named = environ.get(DATABASE, "") if option is None else option
    if not named:
        return sqlite_url(directory / DATABASE_FILE)
    return named if "://" in named else sqlite_url(Path(named).absolute())


class Database:
    """One database that is open. Several threads may read at once; one transaction writes."""

    def __init__(
        self, url: URL, writer: Engine | None, reader: Engine, guard: DatabaseLock | None = None
    ) -> None:
        self.url = url.render_as_string(hide_password=False)
        self.where = shown(url)
        self.dialect = url.get_backend_name()
        self._writer = writer
        self._reader = reader
        self._guard = guard
        self._sign: str | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot to read from; DatabaseUnusable."""
        with self._translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at the end; DatabaseUnusable.

        For the holder of the server directory, or of the lock in PostgreSQL, only.
        """
        with self._translated(), self.connect() as connection, connection.begin():
            yield connection

    def connect(self) -> Connection:
        """A connection to write with, for callers that manage their own transactions."""
        if self._writer is None:
            raise DatabaseUnusable(where=self.where, reason="it was opened for reading only")
        connection = self._writer.connect()
        if self.dialect == POSTGRESQL:
            self._take_lock(connection)
        return connection

    def close(self) -> None:
        """Close all connections."""
        # A connection that may only read leaves the write-ahead log on the disk, so it goes first.
        for engine in (self._reader, self._writer):
            if engine is not None:
                engine.dispose()
        if self._guard is not None:
            self._guard.close()

    def explain(self, error: Exception) -> DatabaseUnusable:
        """The error in our words."""
        return explained(error, self.where)

    def claim(self) -> None:
        """Be the one that writes to a PostgreSQL database, and leave a sign of it there.

        The lock ends with its connection: by the sign who takes it again sees that nobody else
        had it meanwhile. Raises DatabaseTaken.
        """
        if self.dialect == POSTGRESQL:
            sign = chance.token_hex(8)
            with self.writing() as connection:
                connection.execute(FACTS.delete().where(FACTS.c.name == "writer"))
                connection.execute(FACTS.insert(), {"name": "writer", "value": sign})
            self._sign = sign

    def _take_lock(self, connection: Connection) -> None:
        """Take the lock of the one server that writes, until its connection ends."""
        lock = f"SELECT pg_try_advisory_lock({_ADVISORY_LOCK})"
        sign = select(FACTS.c.value).where(FACTS.c.name == "writer")
        try:
            with connection.begin():
                if not connection.exec_driver_sql(lock).scalar():
                    raise DatabaseTaken(where=self.where)
                if self._sign and self._sign != connection.execute(sign).scalar():
                    raise DatabaseOvertaken(where=self.where)
        except BaseException:
            connection.invalidate()  # or it would keep the lock, unused
            connection.close()
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            raise self.explain(error) from error


def open_database(url: str, *, read_only: bool = False, create: bool = True) -> Database:
    """Open a database and see that its tables are ours and of a version that we know.

    A SQLite file that is not there is made, if it may be (`create`), for its owner alone; tables
    in PostgreSQL are made by `initdb`. Raises DatabaseUnusable and what derives from it.
    """
    parsed = _parsed(url)
    where = shown(parsed)
    is_new = parsed.get_backend_name() == SQLITE and not os.path.exists(str(parsed.database))
    try:
        if parsed.get_backend_name() == SQLITE:
            database = _open_sqlite(parsed, read_only, create)
        else:
            database = _open_postgresql(parsed, read_only)
        try:
            _check_tables(database, read_only, create)
            if not read_only:
                database.claim()
        except BaseException:
            database.close()
            if is_new:
                _remove_sqlite(Path(database.where))
            raise
    except (DBAPIError, sqlite3.Error) as error:
        raise explained(error, where) from error
    return database


def shown(url: URL) -> str:
    """A database as a message names it: no password."""
    if url.get_backend_name() == SQLITE:
        return str(url.database)
    return url.render_as_string(hide_password=True)


def explained(error: Exception, where: str) -> DatabaseUnusable:
    """Turn an error of the driver into one of ours."""
    cause = getattr(error, "orig", None) or error
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    reason = (lines[0] if lines else type(cause).__name__).strip()
    kind: type[DatabaseUnusable] = DatabaseUnusable
    if re.search(r"malformed|not a database|corrupt|disk image", reason):
        kind = DatabaseDamaged
    elif re.search(r"database( table)? is locked", reason):
        kind = DatabaseBusy
    return kind(where=where, reason=reason)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg://", url))
    except (ArgumentError, ValueError) as error:
        reason = "this is not the URL of a database"
        raise DatabaseUnusable(where=url.partition("@")[2] or url, reason=reason) from error
    if parsed.get_backend_name() not in (SQLITE, POSTGRESQL):
        reason = "give sqlite:///PATH or postgresql://USER@HOST/NAME"
        raise DatabaseUnusable(where=shown(parsed), reason=reason)
    if parsed.get_backend_name() == SQLITE and parsed.database in (None, "", ":memory:"):
        raise DatabaseUnusable(where=str(parsed), reason="it names no file; --no-db uses memory")
    return parsed


# SQLite.


def _open_sqlite(url: URL, read_only: bool, create: bool) -> Database:
    path = Path(str(url.database)).absolute()
    where = str(path)
    if not path.exists():
        if read_only or not create:
            raise DatabaseMissing(where=where)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise DatabaseUnusable(where=where, reason=reason) from error
    if not path.is_file():
        raise DatabaseUnusable(where=where, reason="it is not a file")
    local = is_local(path.parent)
    url = url.set(database=where)
    reader = _sqlite_engine(lambda: _connect_sqlite(path, "ro", local), "BEGIN")
    if read_only:
        return Database(url, None, reader)
    if not os.access(path, os.W_OK):
        raise DatabaseUnusable(where=where, reason="the file is read-only")
    writer = _sqlite_engine(lambda: _connect_sqlite(path, "rw", local), "BEGIN IMMEDIATE")
    return Database(url, writer, reader, DatabaseLock(path))


def _remove_sqlite(path: Path) -> None:
    """A database that could not be made leaves nothing."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):
            os.unlink(f"{path}{suffix}")


def _sqlite_engine(connect: Callable[[], sqlite3.Connection], begin: str) -> Engine:
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, max_overflow=100)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _connect_sqlite(path: Path, mode: str, local: bool) -> sqlite3.Connection:
    """A connection in which nothing is acknowledged before it is on the disk."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.create_function("regex_matches", 2, _regex_matches, deterministic=True)
        connection.execute("PRAGMA synchronous = FULL")
        if mode == "rw":
            # WAL needs memory that all who open the file share: one machine only.
            connection.execute(f"PRAGMA journal_mode = {'WAL' if local else 'TRUNCATE'}")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
    except BaseException:
        connection.close()
        raise
    return connection


def _regex_matches(pattern: bytes, value: object) -> bool:
    """The SQL function: whether a pattern matches in bytes or text; false for NULL."""
    data = value.encode() if isinstance(value, str) else value
    return isinstance(data, bytes) and regex_matches(pattern, data)


# PostgreSQL.


def _open_postgresql(url: URL, read_only: bool) -> Database:
    arguments: dict[str, Any] = {
        "connect_timeout": 10,
        "application_name": "hyper-shell",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        "options": "-c synchronous_commit=on -c timezone=UTC",
    }
    arguments |= {name: value for name, value in url.query.items() if isinstance(value, str)}
    # It warns of each connection that is lost; that is said in our words.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    try:
        bare = url.set(query={})
        engines = [
            create_engine(bare, connect_args=arguments, pool_pre_ping=True, max_overflow=100)
            for _ in range(1 if read_only else 2)
        ]
    except ModuleNotFoundError as error:
        raise DriverMissing(where=shown(url), package="psycopg") from error
    return Database(url, None if read_only else engines[1], engines[0])


# Tables.


def _check_tables(database: Database, read_only: bool, create: bool) -> None:
    with database.reading() as connection:
        names = _tables(connection)
        found = _version(connection) if FACTS.name in names else None
    if found is None:
        if database.dialect == POSTGRESQL:
            raise TablesMissing(where=database.where)
        if names:
            raise DatabaseForeign(where=database.where)
        if read_only or not create:
            raise DatabaseMissing(where=database.where)
        make_tables(database)
    elif found > VERSION:
        raise DatabaseNewer(where=database.where, theirs=found, ours=VERSION)
    elif found < 1:
        raise DatabaseForeign(where=database.where)
    elif found < VERSION:
        from hypershell.store.sql.migrations import migrate, show_as_current

        if read_only:
            show_as_current(database._reader, found)
        else:
            with database.writing() as connection:
                migrate(connection)


def initialize_database(url: str) -> bool:
    """Make the tables of a database where they are missing; whether they were. DatabaseUnusable."""
    parsed = _parsed(url)
    if parsed.get_backend_name() == SQLITE:
        is_new = not Path(str(parsed.database)).exists()
        open_database(url).close()
        return is_new
    try:
        open_database(url, read_only=True).close()
        return False
    except TablesMissing:
        pass  # what else is wrong is said
    database = _open_postgresql(parsed, read_only=False)
    try:
        with database.reading() as connection:
            if _tables(connection) & set(METADATA.tables):
                raise DatabaseForeign(where=database.where)
        make_tables(database)
    finally:
        database.close()
    return True


def make_tables(database: Database) -> None:
    """Make what tables are missing, in one transaction."""
    if database.dialect == POSTGRESQL:
        make_partial_for_postgresql()
    with database.writing() as connection:
        METADATA.create_all(connection)
        if _version(connection) is None:
            connection.execute(FACTS.insert(), {"name": "version", "value": str(VERSION)})


def _tables(connection: Connection) -> set[str]:
    if connection.dialect.name == SQLITE:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = ANY(current_schemas(false))"
    return {row[0] for row in connection.exec_driver_sql(query)}


def _version(connection: Connection) -> int | None:
    query = select(FACTS.c.value).where(FACTS.c.name == "version")
    value = connection.execute(query).scalar()
    with suppress(TypeError, ValueError):
        return int(str(value))
    return None
