"""PostgreSQL: connections on which what is committed is durable, and the lock of the one writer.

The lock is an advisory one: it belongs to a session of the server, the *backend*, and is free when
that has ended. Three things follow. A backend whose connection broke holds the lock until it
notices, so each is told to look for its peer every few seconds, and at a reconnection the one that
was ours is ended. A pooler between us and the server (pgbouncer) that gives each transaction
another backend makes the lock worthless: that is found out, and refused. And settings that matter
are made after connecting, so that neither `?options=` in a URL nor PGOPTIONS can replace them.
"""

import datetime
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from hypershell.store.sql.errors import DatabasePooled, DatabaseTaken, DriverMissing
from hypershell.store.sql.location import shown

log = logging.getLogger(__name__)

_ADVISORY_LOCK = 0x68797065  # "hype": who holds it is the one that writes

_CONNECT_ARGUMENTS: dict[str, Any] = {
    "connect_timeout": 10,
    "application_name": "hyper-shell",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

# Of those that the server knows: older ones have no tcp_user_timeout. What is committed must be on
# a disk; `remote_apply` is more than `on`, and stays.
_SET_UP = """\
SELECT set_config(name, value, false) FROM pg_settings JOIN (VALUES
    ('synchronous_commit', 'on'), ('TimeZone', 'UTC'), ('tcp_keepalives_idle', '5'),
    ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '10000')
) AS wanted (name, value) USING (name)
WHERE NOT (name = 'synchronous_commit' AND setting = 'remote_apply')"""

_WHICH_BACKEND = "SELECT pg_backend_pid()"
_PROBES = 5
"""Pairs of transactions by which a pooler shows how it works."""


class Backend(NamedTuple):
    """One session of the server; `begun` tells it from a later one with the same number."""

    pid: int
    begun: datetime.datetime


def open_engine(url: URL) -> Engine:
    """Connections to a database, each set up as above; DriverMissing, later DatabasePooled."""
    arguments = _CONNECT_ARGUMENTS | {
        name: value for name, value in url.query.items() if isinstance(value, str)
    }
    # It warns of each connection that is lost; that is said in our words.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    try:
        engine = create_engine(
            url.set(query={}), connect_args=arguments, pool_pre_ping=True, max_overflow=100
        )
    except ModuleNotFoundError as error:
        raise DriverMissing(where=shown(url), package="psycopg") from error

    def set_up(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        try:
            _check_pooler(connection, lambda: engine.dialect.connect(**both), shown(url))
            _ask(connection, _SET_UP)
        except BaseException:
            connection.close()
            raise

    both = {**engine.dialect.create_connect_args(engine.url)[1], **arguments}

    event.listen(engine, "connect", set_up)
    return engine


def _check_pooler(connection: Any, connect: Callable[[], Any], where: str) -> None:
    """Raise DatabasePooled where a transaction may get another backend than the one before it.

    A pooler makes up the number of the backend that the driver is told; the query goes to a real
    one. That alone is harmless (a backend for each session). It is not if one connection sees two
    of them, or two connections that are open at once see the same.
    """
    backend = _ask(connection, _WHICH_BACKEND)
    if connection.info.backend_pid == backend:
        return
    other = connect()
    try:
        for _ in range(_PROBES):
            theirs = _ask(other, _WHICH_BACKEND)
            ours = _ask(connection, _WHICH_BACKEND)
            if theirs == backend or ours != backend:
                raise DatabasePooled(where=where)
    finally:
        other.close()


def _ask(connection: Any, query: str) -> Any:
    """The first value of a query, in a transaction of its own."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        value = cursor.fetchone()[0]
    connection.commit()
    return value


class WriterLock:
    """The lock of the one that writes. Used by one thread at a time."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._ours: Backend | None = None

    def take(self, connection: Connection) -> None:
        """Take the lock until the connection ends, in its transaction; DatabaseTaken.

        A backend of ours that still has it, after its connection was lost, is ended: the next try
        finds the lock free, once whatever that backend was doing is over.
        """
        lock = f"SELECT pg_try_advisory_lock({_ADVISORY_LOCK})"
        if not connection.exec_driver_sql(lock).scalar():
            self._end_predecessor(connection)
            raise DatabaseTaken(where=self._where)
        row = connection.exec_driver_sql(
            "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).one()
        self._ours = Backend(*row)

    def _end_predecessor(self, connection: Connection) -> None:
        if self._ours is None:
            return
        ended = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid = %s AND backend_start = %s AND pid <> pg_backend_pid()",
            tuple(self._ours),
        ).scalar()
        if ended:
            log.debug("ended our own session %d, whose connection was lost", self._ours.pid)
