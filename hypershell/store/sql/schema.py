"""The tables of a task database, and their version.

A task's state is one column; its numbers are those of `STATE_NUMBERS` and never change. Integer
keys throughout: a random key costs more with every row that is there.
"""

from collections.abc import Set
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from hypershell.core.state import TaskState

VERSION = 5
"""The version of the tables below; `facts` has the version of a database."""

STATE_NUMBERS: dict[TaskState, int] = {
    TaskState.WAITING: 0,
    TaskState.SENT: 1,
    TaskState.SUCCEEDED: 2,
    TaskState.FAILED: 3,
    TaskState.CANCELLED: 4,
    TaskState.INTERRUPTED: 5,
    TaskState.RUNNING: 6,
}


RUNNING_NUMBER = STATE_NUMBERS[TaskState.RUNNING]


def is_in(states: Set[TaskState]) -> str:
    """SQL that holds for tasks in one of these states."""
    numbers = sorted(STATE_NUMBERS[state] for state in states)
    return f"state IN ({', '.join(map(str, numbers))})"


STATES: dict[int, TaskState] = {number: state for state, number in STATE_NUMBERS.items()}

METADATA = MetaData()

FACTS = Table(
    "facts",
    METADATA,
    Column("name", Text, primary_key=True),  # version, last_id, writer, client_key
    Column("value", Text, nullable=False),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("uid", Text, nullable=False),  # the server_uid
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),  # wall time, seconds since the epoch
    Column("ended_at", Double),  # NULL while it runs, and if it died
    Column("lease_seconds", Double, nullable=False),
    Column("path", LargeBinary, nullable=False),  # of its input, absolute; "-", or "" for none
    Column("lines_read", BigInteger, nullable=False),  # that are stored, or are no tasks
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of these, each with a newline
    Column("input_ended", Boolean, nullable=False),
    Column("made_in", Integer),  # the directory in which it was made; NULL if nobody knows
    Column("cwd", Integer),  # the directory in which its lines run; NULL: where it was made
)

DIRECTORIES = Table(
    "directories",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("path", LargeBinary, nullable=False, unique=True),  # absolute, or "client"
)

STARTS = Table(
    "starts",
    METADATA,
    # One for each server that worked on a run: a run that is resumed has several.
    Column("number", Integer, primary_key=True),  # in the order of starts
    Column("uid", Text, nullable=False),  # the server_uid; one made beforehand may come again
    Column("run", Integer, nullable=False),
    Column("place", Integer, nullable=False),  # the number of its run directory; 0: not known
    Column("last_id", BigInteger, nullable=False),  # of the tasks that there were before it
)

CLIENTS = Table(
    "clients",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("joined_at", Double, nullable=False),
    Column("left_at", Double),  # NULL while it may hold tasks
)

TASKS = Table(
    "tasks",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("line", LargeBinary, nullable=False),
    Column("tags", Text),  # JSON, of text to text; NULL for none
    Column("group", Integer, nullable=False),
    Column("rank", Integer, nullable=False),  # its priority, negated: the least goes first
    Column("sequence", BigInteger, nullable=False),  # orders a rank; 0 goes before all
    Column("run", Integer, nullable=False),  # that read it or was given it; 0 if none ran
    Column("scope", Integer, nullable=False),  # the run that sees to it, or saw to it last; 0: none
    Column("number", BigInteger, nullable=False),  # its line in the input; 0 if it was submitted
    Column("state", SmallInteger, nullable=False),
    Column("lease", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("cancelling", Boolean, nullable=False),  # it is out, and is to be CANCELLED
    Column("owed", Boolean, nullable=False),  # it FAILED, and its line is not printed yet
    Column("added_at", Double, nullable=False),
    Column("cause", Integer),  # why it FAILED
    Column("outcome_attempt", Integer),  # number of its last attempt that is recorded
    Column("spec", Text),  # a packed TaskSpec, but for its cwd; NULL for the default
    Column("made_in", Integer),  # the directory of its submission; NULL: that of its run
    Column("cwd", Integer),  # the directory in which it runs; NULL: where it was made, or its run's
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("task", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("client", Text),
    Column("slot", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),  # wall time; 0 if nobody knows
    Column("seconds", Double, nullable=False),
    Column("ending", SmallInteger, nullable=False),  # an Ending
    Column("code", Integer, nullable=False),  # the exit status, or the signal
    Column("reason", Text),
    Column("user_seconds", Double, nullable=False),
    Column("system_seconds", Double, nullable=False),
    Column("peak_kib", BigInteger, nullable=False),
    Column("err", LargeBinary),  # the end of its standard error, if it failed
    sqlite_with_rowid=False,
)

RUNNING = Table(
    "running",  # where each task is that is RUNNING; of others it says nothing
    METADATA,
    Column("task", BigInteger, primary_key=True, autoincrement=False),
    Column("client", Text, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),  # wall time; 0 if nobody knows
    sqlite_with_rowid=False,
)

OUTPUTS = Table(
    "outputs",
    METADATA,
    Column("task", BigInteger, primary_key=True, autoincrement=False),
    Column("out", LargeBinary, nullable=False),
    Column("err", LargeBinary, nullable=False),
)

TAGS = Table(
    "tags",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("task", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

CAUSES = Table(
    "causes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("ending", SmallInteger, nullable=False),
    Column("code", Integer, nullable=False),
    Column("text", Text, nullable=False),  # what was printed, normalised
    Column("digest", Text, nullable=False, unique=True),
)

SINKS = Table(
    "sinks",
    METADATA,
    Column("path", LargeBinary, primary_key=True),  # of a file of failed lines, absolute
    Column("device", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),  # bytes; what is beyond was never promised
)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition)}


def make_partial_for_postgresql() -> None:
    """Give the indexes their conditions there, too; not before, as that loads its dialect."""
    for index in TASKS.indexes:
        index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]


IS_WAITING = text("tasks.state = 0")
IS_UNSETTLED = text("tasks.state NOT IN (0, 2)")
IS_OWED = text("tasks.owed")
"""A query that says one of these, word for word, can use the partial index of that name."""

_T = TASKS.c
# Partial indexes: what has SUCCEEDED, nearly all of them in the end, is in none.
Index("tasks_waiting", _T.scope, _T.group, _T.rank, _T.sequence, _T.id, **_where("state = 0"))
Index("tasks_state", _T.state, _T.id, **_where("state NOT IN (0, 2)"))
Index("tasks_owed", _T.id, **_where("owed"))
Index("tags_task", TAGS.c.task)
