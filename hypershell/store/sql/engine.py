"""Opens a task database, SQLite or PostgreSQL, and gives out connections to it."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, select
from sqlalchemy.engine import URL

from hypershell.core.environment import DATABASE
from hypershell.core.errors import HyperShellError, system_reason
from hypershell.core.query.pattern import regex_matches
from hypershell.runtime import chance
from hypershell.runtime.mounts import is_local
from hypershell.store.sql.driver_errors import UNREADABLE, explained
from hypershell.store.sql.errors import (
    DatabaseForeign,
    DatabaseLinked,
    DatabaseMissing,
    DatabaseNewer,
    DatabaseOvertaken,
    DatabaseUnusable,
    TablesMissing,
)
from hypershell.store.sql.file_lock import DatabaseLock
from hypershell.store.sql.location import (
    POSTGRESQL,
    SQLITE,
    absolute,
    is_url,
    parse_location,
    shown,
    sqlite_location,
)
from hypershell.store.sql.postgresql import WriterLock, open_engine
from hypershell.store.sql.schema import FACTS, METADATA, VERSION, make_partial_for_postgresql

DATABASE_FILE = "hyper-shell.db"
"""The embedded database in a server directory."""

_BUSY_SECONDS = 3.0


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return sqlite_location(path)


def database_url(option: str | None, environ: Mapping[str, str], directory: Path) -> str:
    """What `--database`, HYPERSHELL_DATABASE or the default names.

    A name without a scheme is the path of a SQLite file.
    """
    named = environ.get(DATABASE, "") if option is None else option
    if not named:
        return sqlite_url(directory / DATABASE_FILE)
    return named if is_url(named) else sqlite_url(absolute(named))


class Database:
    """One database that is open. Several threads may read at once; one transaction writes."""

    def __init__(
        self,
        location: Path | URL,
        writer: Engine | None,
        reader: Engine,
        guard: DatabaseLock | None = None,
    ) -> None:
        self.where = shown(location)
        self.dialect = SQLITE if isinstance(location, Path) else POSTGRESQL
        self._writer = writer
        self._reader = reader
        self._guard = guard
        self._writer_lock = WriterLock(self.where)
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

    def ping(self) -> None:
        """Ask the simplest question; DatabaseUnusable. It hangs where the database does."""
        with self.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM facts").scalar()

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
        sign = select(FACTS.c.value).where(FACTS.c.name == "writer")
        try:
            with connection.begin():
                self._writer_lock.take(connection)
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
        except HyperShellError:
            raise
        except UNREADABLE as error:
            raise self.explain(error) from error


def open_database(url: str, *, read_only: bool = False, create: bool = True) -> Database:
    """Open a database and see that its tables are ours and of a version that we know.

    A SQLite file that is not there is made, if it may be (`create`), for its owner alone; tables
    in PostgreSQL are made by `initdb`. Raises DatabaseUnusable and what derives from it.
    """
    location = parse_location(url)
    is_new = isinstance(location, Path) and not os.path.lexists(location)
    try:
        if isinstance(location, Path):
            database = _open_sqlite(location, read_only, create)
        else:
            database = _open_postgresql(location, read_only)
        try:
            _check_tables(database, read_only, create)
            if not read_only:
                database.claim()
        except BaseException:
            database.close()
            if is_new and isinstance(location, Path):
                _remove_sqlite(location)
            raise
    except HyperShellError:
        raise
    except UNREADABLE as error:
        raise explained(error, shown(location)) from error
    return database


# SQLite.


def _open_sqlite(path: Path, read_only: bool, create: bool) -> Database:
    where = shown(path)
    try:
        if not path.exists():
            if read_only or not create:
                raise DatabaseMissing(where=where)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        is_file = path.is_file()
    except OSError as error:
        reason = system_reason(error)
        raise DatabaseUnusable(where=where, reason=reason) from error
    if not is_file:
        raise DatabaseUnusable(where=where, reason="it is not a file")
    local = is_local(path.parent)
    reader = _sqlite_engine(lambda: _connect_sqlite(path, "ro", local), "BEGIN")
    if read_only:
        return Database(path, None, reader)
    if path.stat().st_nlink > 1:
        raise DatabaseLinked(where=where)
    if not os.access(path, os.W_OK):
        raise DatabaseUnusable(where=where, reason="the file is read-only")
    writer = _sqlite_engine(lambda: _connect_sqlite(path, "rw", local), "BEGIN IMMEDIATE")
    return Database(path, writer, reader, DatabaseLock(path))


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


def _open_postgresql(url: URL, read_only: bool) -> Database:
    return Database(url, None if read_only else open_engine(url), open_engine(url))


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
    location = parse_location(url)
    if isinstance(location, Path):
        is_new = not os.path.exists(location)
        open_database(url).close()
        return is_new
    try:
        open_database(url, read_only=True).close()
        return False
    except TablesMissing:
        pass  # what else is wrong is said
    database = _open_postgresql(location, read_only=False)
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
