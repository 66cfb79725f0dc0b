"""What a task database says of its runs, for those who choose one of several. It only reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from hypershell.core.state import HANDED_OUT, TaskState
from hypershell.store.sql.engine import open_database
from hypershell.store.sql.errors import DatabaseMissing, TablesMissing
from hypershell.store.sql.filters import runs_named
from hypershell.store.sql.runs import Making, within
from hypershell.store.sql.schema import (
    IS_UNSETTLED,
    IS_WAITING,
    RUNS,
    STARTS,
    STATE_NUMBERS,
    TASKS,
)

_OPEN = [STATE_NUMBERS[state] for state in (*HANDED_OUT, TaskState.INTERRUPTED)]
_FAILED = STATE_NUMBERS[TaskState.FAILED]


class LastStart(NamedTuple):
    """The newest start of a server in a database: tuples of starts compare as they followed.

    `place` is the number of its run directory, which clocks that are set do not change.
    """

    place: int
    started_at: float
    uid: str


class Peek:
    """One database, opened for reading only as long as a question takes; DatabaseUnusable.

    A database that is not there answers like an empty one.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def last_start(self, path: bytes | None = None) -> LastStart | None:
        """The newest start, or the newest of a run of this input."""
        query = select(STARTS.c.place, RUNS.c.started_at, STARTS.c.uid)
        query = query.join(RUNS, RUNS.c.id == STARTS.c.run)
        if path is not None:
            query = query.where(RUNS.c.path == path)
        query = query.order_by(STARTS.c.number.desc()).limit(1)
        with _opened(self._url) as connection:
            row = None if connection is None else connection.execute(query).one_or_none()
        return None if row is None else LastStart(row.place, row.started_at, row.uid)

    def has_run(self, uid: str) -> bool:
        """Whether a server of this uid was at work in it."""
        with _opened(self._url) as connection:
            if connection is None:
                return False
            return connection.execute(runs_named(uid).limit(1)).first() is not None

    def has_work(self, making: Making) -> bool:
        """Whether a restart made so finds something to do there."""
        with _opened(self._url) as connection:
            if connection is None:
                return False
            mine = within(making)
            parts = (IS_WAITING, and_(IS_UNSETTLED, TASKS.c.state.in_([*_OPEN, _FAILED])))
            queries = (select(TASKS.c.id).where(part, mine).limit(1) for part in parts)
            return any(connection.execute(query).first() is not None for query in queries)

    def has_ids(self, ids: tuple[int, ...]) -> bool:
        """Whether it has a task of one of these ids."""
        with _opened(self._url) as connection:
            if connection is None:
                return False
            low, high = min(ids), max(ids)
            query = select(TASKS.c.id).where(TASKS.c.id.between(low, high))
            found = {row.id for row in connection.execute(query.limit(len(ids) + 10_000))}
            return not found.isdisjoint(ids)

    def unfinished(self) -> set[str]:
        """The uids of runs that have tasks which are not final, or lines that were not read."""
        with _opened(self._url) as connection:
            if connection is None:
                return set()
            runs = {row.id for row in connection.execute(_UNREAD)}
            for part in (IS_WAITING, and_(IS_UNSETTLED, TASKS.c.state.in_(_OPEN))):
                for column in (TASKS.c.run, TASKS.c.scope):
                    query = select(column.label("id")).where(part).distinct()
                    runs |= {row.id for row in connection.execute(query)}
            uids = select(STARTS.c.uid).where(STARTS.c.run.in_(runs))
            return {row.uid for row in connection.execute(uids)}


_UNREAD = select(RUNS.c.id).where(func.length(RUNS.c.path) > 1, RUNS.c.input_ended.is_(False))
"""Runs of a file that was not read to its end; what was left of a pipe is gone."""


@contextmanager
def _opened(url: str) -> Iterator[Connection | None]:
    """A snapshot of a database; None where there is none."""
    try:
        database = open_database(url, read_only=True)
    except (DatabaseMissing, TablesMissing):
        yield None
        return
    try:
        with database.reading() as connection:
            yield connection
    finally:
        database.close()
