"""The one writer of a task database: group commit by natural batching.

A thread that has something to write puts it in and may wait until it is durable. All that is there
goes into one transaction; while that is committed the next gathers. It alone knows what a failed
write means: one that may pass is tried again until it does.

The invariant: changes become durable in the order in which they were put, each whole, and every
commit is finished exactly once, after its change is durable or when it never will be. `put` is
called by the threads that change the store, often under the store's lock, and never blocks;
`PendingCommit.wait` blocks, and must not be called under that lock. `one_pass` belongs to the
writer's loop, which alone has the connection. One more thread looks every second for a database
that does not even answer: it says so, and ends all waiting where patience is limited.

The lock "database writer" guards what was put and what is under way, and is never held while the
database is written; it is the innermost, and nothing is called inside it but `finish`, which takes
none. The order that matters: a batch is taken as `_under_way` in the same step in which it leaves
`_work`, so that a failure finds every commit in one of the two; and `_gave_up` is set before
commits are failed, so that none can be put in afterwards and wait for ever.
"""

import logging
import math
import re
import sqlite3
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from hypershell.core.errors import HyperShellError
from hypershell.runtime import clock, threads
from hypershell.runtime.backoff import Backoff
from hypershell.store.sql.driver_errors import UNREADABLE
from hypershell.store.sql.engine import Database
from hypershell.store.sql.errors import DatabaseStalled, DatabaseTaken, DatabaseUnusable
from hypershell.store.tasks.errors import StoreClosed

log = logging.getLogger(__name__)

Work = Callable[[Connection], None]
"""Statements of one change. They may run twice: what is there already must not hurt."""

_PASSING = re.compile("full|locked|busy|i/o error|readonly|read-only|unable to open", re.IGNORECASE)
"""What SQLite says of a failure that may pass."""

_FIRST_PAUSE, _MAX_PAUSE = 0.1, 1.0
_RETAKE_SECONDS = 60.0
"""Seconds that a lost connection of ours may still hold the lock in PostgreSQL."""

_SILENT_SECONDS = 10.0
"""Seconds beyond the patience for a write that neither succeeds nor fails."""

_SLOW_SECONDS = 3.0
"""Seconds after which a write that neither succeeds nor fails is worth a word."""

_LOOK_SECONDS = 1.0


class PendingCommit:
    """A write that was handed in; `wait` returns when it is durable."""

    __slots__ = ("_done", "error")

    def __init__(self) -> None:
        self._done = threads.Latch()
        self.error: Exception | None = None

    def wait(self) -> None:
        """Wait until it is durable; DatabaseUnusable if it never will be."""
        self._done.wait()
        if self.error is not None:
            raise self.error

    def finish(self, error: Exception | None = None) -> None:
        """Let all go who wait; what is finished already stays as it is.

        Only the writer calls it, holding its lock.
        """
        if not self._done.is_open:
            self.error = error
            self._done.open()


class Writer:
    """Safe to use from several threads; `one_pass` belongs to the loop that writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threads.condition("database writer")
        self._work: list[tuple[Work, PendingCommit]] = []
        self._under_way: list[tuple[Work, PendingCommit]] = []
        self._closed = False
        self._gave_up: Exception | None = None
        self._connection: Connection | None = None
        self._patience = math.inf
        self._patience_from = 0.0
        self._begin = 0.0  # of the write that is under way
        self._attempt = 0.0  # when its last attempt began; 0 between attempts
        self._watcher: threads.Thread | None = None
        self._over = threads.event()
        self.stalled = threads.event()

    def put(self, work: Work) -> PendingCommit:
        """Queue a change; changes are made in the order of the calls."""
        commit = PendingCommit()
        with self._changed:
            if self._gave_up is not None or self._closed:
                commit.finish(self._gave_up or StoreClosed("the database is closed"))
                return commit
            self._work.append((work, commit))
            self._changed.notify_all()
        return commit

    def one_pass(self) -> bool:
        """Write all that is here, waiting for it; False when closed and all is written."""
        if self._watcher is None:
            self._watcher = self._start_watcher()
        with self._changed:
            self._changed.wait_for(lambda: self._work or self._closed)
            batch, self._work = self._work, []
            self._under_way, self._begin = batch, clock.monotonic()
        if not batch:
            self._over.set()
            self._disconnect()
            return False
        try:
            self._write_until_done(batch)
        except HyperShellError as error:
            self._fail(error)
            raise
        except UNREADABLE as error:
            damaged = self._explain(error)
            self._fail(damaged)
            raise damaged from error
        except Exception as error:
            self._fail(error)
            raise
        with self._changed:
            self._under_way = []
            for _, commit in batch:
                commit.finish()
        return True

    def close(self) -> None:
        """Write what is here, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def limit_patience(self, seconds: float) -> None:
        """Limit further attempts to this many seconds; waiting callers get the error then."""
        with self._changed:
            self._patience = seconds
            self._patience_from = clock.monotonic()

    def silent_seconds(self) -> float:
        """For how long a write has neither succeeded nor failed; 0 unless that is remarkable."""
        attempt = self._attempt
        silent = clock.monotonic() - attempt if attempt else 0.0
        return silent if silent > _SLOW_SECONDS else 0.0

    def _start_watcher(self) -> threads.Thread | None:
        try:
            return threads.start_thread("database watch", self._watch)
        except RuntimeError as error:
            log.debug("nobody watches the database: %s", error)
            return None

    def _watch(self) -> None:
        """Look for a database that does not answer, until there is nothing more to write."""
        while not self._over.wait(_LOOK_SECONDS):
            if self.silent_seconds() and not self.stalled.is_set():
                self.stalled.set()
                where = self._database.where
                log.error(
                    "the task database %s does not answer; no tasks are handed out until it does",
                    where,
                )
            self._end_silence()

    def _end_silence(self) -> None:
        """Let those go who wait for a database that does not even say that it cannot be written."""
        with self._changed:
            since = max(self._begin, self._patience_from)
            overdue = clock.monotonic() - since - self._patience - _SILENT_SECONDS
            if not self._under_way or overdue < 0:
                return
        self._fail(DatabaseStalled(where=self._database.where, reason="it does not answer"))

    def _write_until_done(self, batch: list[tuple[Work, PendingCommit]]) -> None:
        backoff, begin = Backoff(_FIRST_PAUSE, _MAX_PAUSE), self._begin
        taken_since = math.inf  # by a connection that may be our own, lost one
        while True:
            try:
                self._write(batch)
            except (DBAPIError, sqlite3.Error, DatabaseTaken) as error:
                self._disconnect()
                is_taken, now = isinstance(error, DatabaseTaken), clock.monotonic()
                taken_since = min(taken_since, now) if is_taken else math.inf
                if not _may_pass(error) or now - taken_since > _RETAKE_SECONDS:
                    raise self._explain(error) from error
                self._say_stalled(error)
                if clock.monotonic() > max(begin, self._patience_from) + self._patience:
                    reason = str(self._explain(error).facts.get("reason", error))
                    raise DatabaseStalled(where=self._database.where, reason=reason) from error
                clock.sleep(backoff.pause())  # nothing reports that space is free again
                continue
            if self.stalled.is_set():
                self.stalled.clear()
                log.warning("the task database can be written again; continuing")
            return

    def _write(self, batch: list[tuple[Work, PendingCommit]]) -> None:
        self._attempt = clock.monotonic()
        try:
            if self._connection is None:
                self._connection = self._database.connect()
            connection = self._connection
            with connection.begin():
                for work, _ in batch:
                    work(connection)
        finally:
            self._attempt = 0.0

    def _say_stalled(self, error: Exception) -> None:
        if not self.stalled.is_set():
            self.stalled.set()
            log.error(
                "%s; no tasks are handed out until it can be written again", self._explain(error)
            )

    def _explain(self, error: Exception) -> DatabaseUnusable:
        if isinstance(error, DatabaseTaken):
            return error
        return self._database.explain(error)

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._gave_up = self._gave_up or error
            for _, commit in self._under_way + self._work:
                commit.finish(self._gave_up)
            self._under_way, self._work = [], []
        self._over.set()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (DBAPIError, sqlite3.Error) as error:
                log.debug("closing a connection to the database: %s", error)


def _may_pass(error: Exception) -> bool:
    """Whether a write may succeed later: a full disk, no connection, another program's lock."""
    if isinstance(error, DatabaseTaken):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return _PASSING.search(str(cause)) is not None
    return isinstance(error, OperationalError | InterfaceError)
