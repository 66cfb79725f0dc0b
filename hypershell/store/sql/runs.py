"""Runs in a task database: how one begins, what it finds there, how it ends."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, true, update

from hypershell.core.ending import Ending
from hypershell.core.origin import UNKNOWN, Origin
from hypershell.core.run_mode import RunMode
from hypershell.core.run_name import ALL_RUNS, LAST_RUN
from hypershell.core.state import HANDED_OUT, TaskState
from hypershell.core.task import Task
from hypershell.core.task_spec import TaskSpec, unpack_spec
from hypershell.runtime import clock
from hypershell.store.sql.directories import cwd_beside, cwd_of_run, directory_id
from hypershell.store.sql.engine import Database
from hypershell.store.sql.errors import NothingToResume
from hypershell.store.sql.filters import in_last_run, newest_run, runs_named
from hypershell.store.sql.rows import rewind, task_of
from hypershell.store.sql.schema import (
    ATTEMPTS,
    CLIENTS,
    DIRECTORIES,
    FACTS,
    IS_OWED,
    IS_UNSETTLED,
    IS_WAITING,
    RUNNING_NUMBER,
    RUNS,
    SINKS,
    STARTS,
    STATE_NUMBERS,
    STATES,
    TASKS,
)
from hypershell.store.tasks.recovery import RecoveredState
from hypershell.store.tasks.tally import Tally

_HANDED_OUT = [STATE_NUMBERS[state] for state in TaskState if state in HANDED_OUT]
_INTERRUPTED = STATE_NUMBERS[TaskState.INTERRUPTED]
_FAILED = STATE_NUMBERS[TaskState.FAILED]


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that has begun, and what it found.

    `lines_read` and `digest` are of the input that it goes on with; `leftovers` the unfinished
    tasks of others. `unread` is the input of the run before it that was not read to its end.
    Lines of its input run in the directory `cwd`; None if nobody says where. By `client_key` the
    servers of this database know the clients of one another.
    """

    id: int
    start: RecoveredState
    lease_seconds: float
    cwd: str | None = None
    lines_read: int = 0
    digest: bytes = b""
    leftovers: int = 0
    unread: tuple[bytes, int] | None = None
    client_key: bytes = b""


class Making(NamedTuple):
    """How a run is made: by which server, of which input, and where.

    `path` is of its input: absolute, b"-", or b"" for none. With `moves`, what it takes over of
    earlier runs runs where its own tasks do, and not where it did before. `place` is the number of
    its run directory, 0 if it has none.

    `takes` says what RunMode.RESTART takes on: the tasks of one run by its uid, of LAST_RUN or of
    ALL_RUNS; "" for those of the runs and submissions that were made where this one is.

    A database that has no `client_key` yet keeps this one.
    """

    uid: str
    path: bytes
    lease_seconds: float
    origin: Origin = UNKNOWN
    moves: bool = False
    place: int = 0
    takes: str = ALL_RUNS
    client_key: bytes = b""


def begin_run(database: Database, mode: RunMode, making: Making) -> Begun:
    """Begin a run, in one transaction.

    The mode says which tasks of earlier runs become tasks of this one.
    `lease_seconds` of what it returns is how long a client of any earlier server may hold a task.
    NothingToResume; DatabaseUnusable.
    """
    uid, path, lease_seconds, origin = making[:4]
    with database.writing() as connection:
        before_it = last_id(connection)
        mine = within(making) if mode is RunMode.RESTART else true()
        before = _last_run(connection, mode, making)
        lines_read, digest = 0, b""
        if mode is RunMode.RESUME:
            if before is None:
                raise NothingToResume(path=os.fsdecode(path), where=database.where)
            run, lines_read, digest = before.id, before.lines_read, before.digest
            lease = max(lease_seconds, _lease_of_handed_out(connection, run))
            values = _values(uid, lease)
            connection.execute(update(RUNS).where(RUNS.c.id == run).values(ended_at=None, **values))
        else:
            found = 0.0 if mode is RunMode.FILE else _lease_of_handed_out(connection)
            lease = max(lease_seconds, found)
            run = _new_run(connection, uid, path, lease, origin.made_in)
        unread = None
        skips_input = mode is RunMode.RESTART and before is not None
        if skips_input and before.path and not before.input_ended:
            unread = (before.path, before.lines_read)
        _take_over(connection, mode, run, mine)
        _note_start(connection, making, run, before_it)
        if making.moves:
            _move(connection, mode, run, origin)
        cwd = cwd_of_run(connection, run) or origin.cwd
        start = (
            RecoveredState(last_id(connection)) if mode is RunMode.FILE else _look(connection, run)
        )
        leftovers = 0 if mode is RunMode.FOREVER else _count_leftovers(connection, run, mode)
        client_key = _client_key(connection, making.client_key)
    return Begun(run, start, lease, cwd, lines_read, digest, leftovers, unread, client_key)


def owed_lines(database: Database, scope: int | None) -> list[tuple[int, bytes, TaskSpec]]:
    """Id, line and settings of tasks that FAILED, and whose lines were to be printed and were not.

    Of one run, or of all.
    """
    query = select(TASKS.c.id, TASKS.c.line, TASKS.c.spec).where(IS_OWED).order_by(TASKS.c.id)
    if scope is not None:
        query = query.where(TASKS.c.scope == scope)
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return [(row.id, bytes(row.line), unpack_spec(row.spec or "")) for row in rows]


def tasks_of_input(database: Database, path: bytes, run: int) -> Iterator[tuple[bytes, TaskSpec]]:
    """The line and settings of each task of the runs before this one that read this input."""
    same = select(RUNS.c.id).where(RUNS.c.path == path, RUNS.c.id != run)
    query = select(TASKS.c.line, TASKS.c.spec).where(TASKS.c.run.in_(same), TASKS.c.number > 0)
    with database.reading() as connection:
        for row in connection.execute(query, execution_options={"yield_per": 1000}):
            yield bytes(row.line), unpack_spec(row.spec or "")


def sink_length(database: Database, path: bytes, device: int, inode: int) -> int | None:
    """How many bytes of a file of failed lines are sure; None if this is not the file we know."""
    query = select(SINKS).where(SINKS.c.path == path)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or (row.device, row.inode) != (device, inode):
        return None
    return int(row.length)


def set_sink(database: Database, path: bytes, device: int, inode: int, length: int) -> None:
    """Record that failed lines go to this file from now on, and its size in bytes."""
    values = {"device": device, "inode": inode, "length": length}
    with database.writing() as connection:
        changed = connection.execute(update(SINKS).where(SINKS.c.path == path).values(**values))
        if not changed.rowcount:
            connection.execute(insert(SINKS).values(path=path, **values))


def last_id(connection: Connection) -> int:
    """The highest id that was ever given."""
    highest = connection.execute(select(func.max(TASKS.c.id))).scalar() or 0
    noted = connection.execute(select(FACTS.c.value).where(FACTS.c.name == "last_id")).scalar()
    return max(int(highest), int(noted or 0))


def _client_key(connection: Connection, new: bytes) -> bytes:
    """The key from which the secrets of clients are made: that of the first run that had one."""
    found = connection.execute(select(FACTS.c.value).where(FACTS.c.name == "client_key")).scalar()
    if found is not None:
        return bytes.fromhex(str(found))
    if new:
        connection.execute(FACTS.insert().values(name="client_key", value=new.hex()))
    return new


def within(making: Making) -> ColumnElement[bool]:
    """The tasks that a restart takes on, before it is noted as the newest start.

    What an earlier release wrote says nothing of where it was made, and may be from here.
    """
    t = TASKS.c
    match making.takes:
        case value if value == ALL_RUNS:
            return true()
        case value if value == LAST_RUN:
            return in_last_run()
        case "":
            here = select(RUNS.c.id).where(_made_here(RUNS.c.made_in, making))
            of_run = or_(t.run.in_(here), t.scope.in_(here))
            submitted = and_(t.made_in.is_not(None), _made_here(t.made_in, making))
            return or_(of_run, submitted, and_(t.run == 0, t.made_in.is_(None)))
    named = runs_named(making.takes)
    return or_(t.run.in_(named), t.scope.in_(named))


def _made_here(column: ColumnElement[Any], making: Making) -> ColumnElement[bool]:
    here = select(DIRECTORIES.c.id).where(DIRECTORIES.c.path == making.origin.made_in)
    return or_(column.in_(here), column.is_(None))


def _last_run(connection: Connection, mode: RunMode, making: Making) -> Any:
    """The run that this one goes on with, or the last of those whose tasks it takes on."""
    query = select(RUNS).order_by(RUNS.c.id.desc()).limit(1)
    if mode is RunMode.RESUME:
        query = query.where(RUNS.c.path == making.path)
    elif mode is RunMode.RESTART and making.takes == LAST_RUN:
        query = query.where(RUNS.c.id == newest_run())
    elif mode is RunMode.RESTART and making.takes == "":
        query = query.where(_made_here(RUNS.c.made_in, making))
    elif mode is RunMode.RESTART and making.takes != ALL_RUNS:
        query = query.where(RUNS.c.id.in_(runs_named(making.takes)))
    return connection.execute(query).one_or_none()


def _note_start(connection: Connection, making: Making, run: int, last_id: int) -> None:
    number = int(connection.execute(select(func.max(STARTS.c.number))).scalar() or 0) + 1
    values = {"number": number, "uid": making.uid, "run": run}
    values |= {"place": making.place, "last_id": last_id}
    connection.execute(insert(STARTS).values(**values))


def _lease_of_handed_out(connection: Connection, scope: int | None = None) -> float:
    """How long clients may hold what is out, in one run or all: as the run says that sent it.

    One that goes on with such tasks says it again: its own may be shorter, and it may die, too.
    """
    sent = TASKS.join(RUNS, RUNS.c.id == TASKS.c.scope)
    query = select(func.max(RUNS.c.lease_seconds)).select_from(sent)
    query = query.where(IS_UNSETTLED, TASKS.c.state.in_(_HANDED_OUT))
    if scope is not None:
        query = query.where(TASKS.c.scope == scope)
    return float(connection.execute(query).scalar() or 0.0)


def _values(uid: str, lease_seconds: float) -> dict[str, Any]:
    return {
        "uid": uid,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "lease_seconds": lease_seconds,
    }


def _new_run(
    connection: Connection, uid: str, path: bytes, lease_seconds: float, made_in: bytes
) -> int:
    run = int(connection.execute(select(func.max(RUNS.c.id))).scalar() or 0) + 1
    values = {
        "id": run,
        "started_at": clock.wall(),
        "path": path,
        "lines_read": 0,
        "digest": b"",
        "input_ended": not path,
        "made_in": directory_id(connection, made_in),
        **_values(uid, lease_seconds),
    }
    connection.execute(insert(RUNS).values(**values))
    return run


def _take_over(connection: Connection, mode: RunMode, run: int, mine: ColumnElement[bool]) -> None:
    """Bring into the scope of a run what it is to see to; of a restart, only what is `mine`."""
    t = TASKS.c
    interrupted = and_(IS_UNSETTLED, t.state == _INTERRUPTED)
    match mode:
        case RunMode.RESUME:
            rewind(connection, and_(interrupted, t.scope == run), run, counts_go_on=True)
        case RunMode.RESTART:
            rewind(connection, and_(interrupted, mine), run, counts_go_on=True)
            rewind(connection, and_(IS_UNSETTLED, t.state == _FAILED, mine), run)
        case RunMode.FOREVER:
            rewind(connection, interrupted, run, counts_go_on=True)
        case _:
            return
    if mode is not RunMode.RESUME:
        for part in (IS_WAITING, and_(IS_UNSETTLED, t.state.in_(_HANDED_OUT))):
            connection.execute(update(TASKS).where(part, t.scope != run, mine).values(scope=run))


def _move(connection: Connection, mode: RunMode, run: int, origin: Origin) -> None:
    """Have a run, and the tasks that it took over, run in the directory of an origin."""
    t = TASKS.c
    named = os.fsencode(origin.cwd or "")
    cwd = directory_id(connection, named)
    connection.execute(update(RUNS).where(RUNS.c.id == run).values(cwd=cwd))
    if mode is not RunMode.FILE:
        for part in (IS_WAITING, IS_UNSETTLED):
            connection.execute(update(TASKS).where(part, t.scope == run).values(cwd=cwd))


def _look(connection: Connection, run: int) -> RecoveredState:
    """What a run finds in its scope."""
    t = TASKS.c
    start = RecoveredState(last_id=last_id(connection), tally=Tally())
    query = select(t.group, t.state, func.count()).where(t.scope == run).group_by(t.group, t.state)
    if connection.execute(select(RUNS.c.lines_read).where(RUNS.c.id == run)).scalar():
        found = connection.execute(query).all()  # it goes on: what is final counts as well
    else:
        found = [
            row
            for part in (IS_WAITING, IS_UNSETTLED)
            for row in connection.execute(query.where(part)).all()
        ]
    for group, state, number in found:
        start.tally.add(group, STATES[state], number)
        start.waiting = start.waiting or STATES[state] is TaskState.WAITING
    out = select(TASKS, cwd_beside(run))
    for row in connection.execute(
        out.where(IS_UNSETTLED, t.state.in_(_HANDED_OUT), t.scope == run)
    ):
        task: Task = task_of(row, row.directory)
        start.handed_out.append(task)
        if row.cancelling:
            start.cancelling.add(task.id)
        if row.state == RUNNING_NUMBER:
            start.running.add(task.id)
    start.given_up.update(_given_up(connection, run))
    if start.handed_out:
        there = select(CLIENTS.c.id).where(CLIENTS.c.left_at.is_(None))
        start.clients.update(row.id for row in connection.execute(there))
    return start


def _given_up(connection: Connection, run: int) -> dict[int, tuple[int, Ending]]:
    """Tasks that wait, and of whose last attempt nobody said how it ended: lease and ending."""
    t, a = TASKS.c, ATTEMPTS.c
    unknown = [int(ending) for ending in Ending if not ending.reported]
    last = and_(a.task == t.id, a.number == t.attempt - 1)
    query = select(t.id, t.lease, a.ending).select_from(TASKS.join(ATTEMPTS, last))
    query = query.where(IS_WAITING, t.scope == run, t.attempt > 1, a.ending.in_(unknown))
    return {row.id: (row.lease, Ending(row.ending)) for row in connection.execute(query)}


def _count_leftovers(connection: Connection, run: int, mode: RunMode) -> int:
    """How many tasks belong to others that such a run might have taken on."""
    t = TASKS.c
    failed = (_FAILED,) if mode is RunMode.RESTART else ()
    open_states = t.state.in_((*_HANDED_OUT, _INTERRUPTED, *failed))
    found = 0
    for part in (and_(IS_WAITING, t.scope != run), and_(IS_UNSETTLED, open_states, t.scope != run)):
        found += connection.execute(select(func.count()).where(or_(part))).scalar() or 0
    return found
