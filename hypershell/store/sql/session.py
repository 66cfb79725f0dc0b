"""A run with a task database: what begins with it, and what ends with it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sqlalchemy import Connection, update

from hypershell.core.errors import StartError
from hypershell.core.run_mode import RunMode
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime import clock
from hypershell.store.sql.engine import Database
from hypershell.store.sql.errors import InputChanged
from hypershell.store.sql.journal import SqlJournal
from hypershell.store.sql.patient import PatientQueries
from hypershell.store.sql.runs import Begun, owed_lines, set_sink, sink_length, tasks_of_input
from hypershell.store.sql.schema import RUNS
from hypershell.store.sql.writer import Writer


class Lines(Protocol):
    """The reader of an input."""

    path: str
    error: StartError | None

    @property
    def fingerprint(self) -> bytes:
        """What makes another run of the same lines."""

    def skip(self, number: int, each: Callable[[bytes], None]) -> bool:
        """Skip this many lines, passing each to `each`; False if there are fewer."""


class RunSession:
    """The database of a run that has begun. `writer` is to be run as a loop."""

    def __init__(self, database: Database, begun: Begun, mode: RunMode) -> None:
        self.database = database
        self.begun = begun
        self.writer = Writer(database)
        self.queries = PatientQueries(database, self.writer)
        self.journal = SqlJournal(self.writer, database, begun.id)
        self.digest = hashlib.sha256()  # of the input, as far as it is stored
        self._mode = mode

    def pass_over(self, reader: Lines) -> None:
        """Bring the reader of a run's input to where the run is; InputChanged, StartError."""
        lines = self.begun.lines_read
        self.digest.update(reader.fingerprint)
        whole = reader.skip(lines, lambda line: self.digest.update(line + b"\n"))
        if lines and (not whole or self.digest.digest() != self.begun.digest):
            raise reader.error or InputChanged(path=reader.path, lines=lines)

    def had_before(self, path: bytes) -> Iterator[tuple[bytes, TaskSpec]]:
        """The line and settings of each task that earlier runs read of this input."""
        return tasks_of_input(self.database, path, self.begun.id)

    def begin_sink(self, path: bytes, device: int, inode: int, size: int) -> int:
        """How many bytes of a file of failed lines are to stay; the rest was never promised.

        All of it where the run reads its input from the start: it is emptied later.
        """
        length = size
        if self._mode is not RunMode.FILE:
            known = sink_length(self.database, path, device, inode)
            length = size if known is None else min(known, size)
        set_sink(self.database, path, device, inode, length)
        return length

    def owed(self) -> Sequence[tuple[int, bytes, TaskSpec]]:
        """Id, line and settings of tasks that failed and were not printed before a death."""
        if self._mode is RunMode.FILE:
            return []
        return owed_lines(self.database, self.begun.id if self._mode is RunMode.RESUME else None)

    def note_client(self, client: str, host: str, pid: int, slots: int) -> None:
        """A client joined. It holds nothing before this is durable."""
        self.journal.joined(client, host, pid, slots).wait()

    def note_left(self, client: str) -> None:
        """A client of this server, or of one before it, left: it holds nothing."""
        self.journal.left([client])

    def limit_patience(self, seconds: float) -> None:
        """The run ends: a database that cannot be written is waited for so long, and no longer."""
        self.writer.limit_patience(seconds)

    def end(self, idle_clients: Sequence[str]) -> None:
        """The run is over; write the last of it. These clients hold nothing, and so have left.

        Any other may still run its tasks, frozen or cut off as it is: the next server gives it a
        lease to come back in before it hands them to others.
        """
        self.journal.left(idle_clients)
        change = update(RUNS).where(RUNS.c.id == self.begun.id).values(ended_at=clock.wall())

        def work(connection: Connection) -> None:
            connection.execute(change)

        self.writer.put(work)
        self.writer.close()

    def close(self) -> None:
        """Close the database; the writer has ended."""
        self.database.close()
