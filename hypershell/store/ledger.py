"""The journal of a run in a task database: what the store decided, as statements.

Each statement sets values and asks for none, so that a transaction whose end nobody saw can be
made again. The drivers' own statements are used where there is one for every task.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select, tuple_, update

from hypershell.core.cause import digest, signature
from hypershell.core.selection import Selection
from hypershell.core.state import FINAL, TaskState
from hypershell.core.task import STDERR_TAIL, Ending, Outcome, Task
from hypershell.store.engine import SQLITE, Database
from hypershell.store.journal import Found, Progress, Receipt, Recorded
from hypershell.store.rows import inserted, rewind, task_of, waiting_columns
from hypershell.store.schema import (
    ATTEMPTS,
    CAUSES,
    CLIENTS,
    FACTS,
    IS_UNSETTLED,
    IS_WAITING,
    OUTPUTS,
    RUNS,
    SINKS,
    STATE_NUMBERS,
    STATES,
    TAGS,
    TASKS,
)
from hypershell.store.select import matching
from hypershell.store.waiting import Key
from hypershell.store.writer import Writer

_LEASE = "UPDATE tasks SET state = 1, lease = ? WHERE id = ?"
_SUCCEED = "UPDATE tasks SET state = 2, cancelling = ?, outcome_attempt = ? WHERE id = ?"
_SETTLE = """\
UPDATE tasks SET state = ?, turn = ?, attempt = ?, failures = ?, losses = ?, owed = ?, cause = ?,
cancelling = ?, outcome_attempt = coalesce(?, outcome_attempt) WHERE id = ?"""
_ATTEMPT = """\
INSERT INTO attempts (task, number, client, slot, pid, started_at, seconds, ending, code, reason,
user_seconds, system_seconds, peak_kib, err)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
_TAKE_BACK = "UPDATE tasks SET state = 0, turn = 0 WHERE id = ?"
_CANCEL = "UPDATE tasks SET state = 4, cancelling = ? WHERE id = ? AND state IN (0, 1, 5)"
_CANCELLING = "UPDATE tasks SET cancelling = ? WHERE id = ? AND state = 1"
_PRINTED = "UPDATE tasks SET owed = ? WHERE id = ?"

T = TypeVar("T")

_MANY = 500  # values in one IN


class Ledger:
    """Hands changes of run `run` to the writer. `keeps` all of it."""

    keeps = True

    def __init__(self, writer: Writer, database: Database, run: int) -> None:
        self._writer = writer
        self._database = database
        self._mark = "?" if database.dialect == SQLITE else "%s"
        self._run = run

    def added(
        self, tasks: Sequence[Task], tags: Mapping[str, str], progress: Progress | None
    ) -> Receipt:
        """Insert the tasks, and how far the input was read."""
        rows, pairs = inserted(tasks, tags, self._run, self._run, time.time())

        def work(connection: Connection) -> None:
            self._insert(connection, "tasks", waiting_columns, rows)
            self._insert(connection, "tags", ("key", "value", "task"), pairs)
            if progress is not None:
                values = {
                    "lines_read": progress.lines,
                    "digest": progress.digest,
                    "input_ended": progress.ended,
                }
                connection.execute(update(RUNS).where(RUNS.c.id == self._run).values(values))

        return self._writer.put(work)

    def leased(self, tasks: Sequence[Task]) -> Receipt:
        """They are SENT."""
        return self._put(_LEASE, [(task.lease, task.id) for task in tasks])

    def recorded(self, recorded: Sequence[Recorded], owes: bool) -> Receipt:
        """Insert the attempts, and move the tasks."""
        attempts = [_attempt(each) for each in recorded if _was_tried(each.outcome)]
        succeeded: list[tuple[Any, ...]] = []
        others: list[Recorded] = []
        outputs: list[tuple[Any, ...]] = []
        for each in recorded:
            if each.state is TaskState.SUCCEEDED:
                succeeded.append((False, each.attempt, each.task.id))
            else:
                others.append(each)
            if each.task.captured and each.state in FINAL:
                outputs.append((each.task.id, each.outcome.out, each.outcome.err))

        def work(connection: Connection) -> None:
            self._run_many(connection, _ATTEMPT, attempts)
            self._run_many(connection, _SUCCEED, succeeded)
            if others:
                self._run_many(connection, _SETTLE, _settled(connection, others, owes))
            self._insert(connection, "outputs", ("task", "out", "err"), outputs)

        return self._writer.put(work)

    def took_back(self, tasks: Sequence[Task]) -> Receipt:
        """They wait again."""
        return self._put(_TAKE_BACK, [(task.id,) for task in tasks])

    def printed(self, task_ids: Sequence[int], path: bytes, length: int) -> Receipt:
        """Nothing more is owed for them."""

        def work(connection: Connection) -> None:
            self._run_many(connection, _PRINTED, [(False, task_id) for task_id in task_ids])
            if path:
                where = update(SINKS).where(SINKS.c.path == path)
                connection.execute(where.values(length=length))

        return self._writer.put(work)

    def cancelling(self, task_ids: Sequence[int]) -> Receipt:
        """Note it, should the server die before they are CANCELLED."""
        return self._put(_CANCELLING, [(True, task_id) for task_id in task_ids])

    def cancelled(self, task_ids: Sequence[int]) -> Receipt:
        """They are CANCELLED."""
        return self._put(_CANCEL, [(False, task_id) for task_id in task_ids])

    def revived(self, task_ids: Sequence[int]) -> Receipt:
        """They wait, in the scope of this run."""

        def work(connection: Connection) -> None:
            for ids in _pieces(task_ids):
                rewind(connection, TASKS.c.id.in_(ids), self._run)

        return self._writer.put(work)

    def deleted(self, task_ids: Sequence[int]) -> Receipt:
        """Delete all of them."""

        def work(connection: Connection) -> None:
            for ids in _pieces(task_ids):
                delete_tasks(connection, ids)

        return self._writer.put(work)

    def joined(self, client: str, host: str, pid: int, slots: int) -> Receipt:
        """A client joined; attempts name it."""
        row = (client, host, pid, slots, time.time())
        columns = ("id", "host", "pid", "slots", "joined_at")
        return self._writer.put(lambda c: self._insert(c, CLIENTS.name, columns, [row]))

    def left(self, client: str | None) -> Receipt:
        """A client left, or all that are there."""
        change = update(CLIENTS).where(CLIENTS.c.left_at.is_(None)).values(left_at=time.time())
        if client is not None:
            change = change.where(CLIENTS.c.id == client)

        def work(connection: Connection) -> None:
            connection.execute(change)

        return self._writer.put(work)

    # Questions.

    def find(self, selection: Selection) -> list[Found]:
        """The tasks of a selection; ValueError for one that the database cannot read."""
        columns = (TASKS.c.id, TASKS.c.state, TASKS.c.group, TASKS.c.scope)
        query = select(*columns).where(*matching(selection)).order_by(TASKS.c.id)
        self._writer.put(lambda connection: None).wait()
        # Not by the writer: what people ask may take long or fail, and is none of its business.
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            Found(i, STATES[state], group, scope == self._run) for i, state, group, scope in rows
        ]

    def first_waiting(
        self, after: Key | None, limit: int, most_bytes: int
    ) -> tuple[list[Task], bool]:
        """Tasks of this run that wait, in order."""
        t = TASKS.c
        key = (t.group, t.rank, t.turn, t.id)
        query = select(TASKS).where(IS_WAITING, t.scope == self._run).order_by(*key).limit(limit)
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after))

        def read(connection: Connection) -> tuple[list[Task], bool]:
            tasks: list[Task] = []
            size = 0
            # Of the statement alone: set for the connection it would go on to all that follow.
            with connection.execute(query, execution_options={"yield_per": 500}) as rows:
                for row in rows:
                    tasks.append(task_of(row))
                    size += len(row.line)
                    if size >= most_bytes:
                        return tasks, True
            return tasks, len(tasks) == limit

        return self._ask(read)

    def unfinished_numbers(self, limit: int) -> list[int]:
        """Line numbers, in order."""
        t = TASKS.c
        query = select(t.number).where(t.scope == self._run, t.number > 0).limit(limit)
        open_states = [STATE_NUMBERS[s] for s in (TaskState.SENT, TaskState.INTERRUPTED)]
        waiting = query.where(IS_WAITING)
        others = query.where(IS_UNSETTLED, t.state.in_(open_states))

        def read(connection: Connection) -> list[int]:
            found = [row[0] for part in (waiting, others) for row in connection.execute(part)]
            return sorted(found)[:limit]

        return self._ask(read)

    def _ask(self, read: Callable[[Connection], T]) -> T:
        """What a question finds after all changes that were handed in before it."""
        answer: list[T] = []

        def work(connection: Connection) -> None:
            answer[:] = [read(connection)]

        self._writer.put(work).wait()
        return answer[0]

    # Statements.

    def _put(self, statement: str, rows: list[tuple[Any, ...]]) -> Receipt:
        return self._writer.put(lambda connection: self._run_many(connection, statement, rows))

    def _run_many(
        self, connection: Connection, statement: str, rows: list[tuple[Any, ...]]
    ) -> None:
        if rows:
            connection.exec_driver_sql(statement.replace("?", self._mark), rows)

    def _insert(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: list[tuple[Any, ...]],
    ) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        self._run_many(connection, statement, rows)


def _was_tried(outcome: Outcome) -> bool:
    """Whether something may have been started: a task that was given back was not."""
    return outcome.ending is not Ending.GIVEN_BACK


def _attempt(recorded: Recorded) -> tuple[Any, ...]:
    """The values of an attempt, in the order of `_ATTEMPT`."""
    task, _, outcome, client, number = recorded
    return (
        task.id,
        number,
        client or None,
        outcome.slot,
        outcome.pid,
        outcome.started_at,
        outcome.seconds,
        int(outcome.ending),
        outcome.code,
        outcome.reason or None,
        outcome.user_seconds,
        outcome.system_seconds,
        outcome.peak_kib,
        None if outcome.ok else outcome.err[-STDERR_TAIL:] or None,
    )


def _settled(
    connection: Connection, others: Sequence[Recorded], owes: bool
) -> list[tuple[Any, ...]]:
    """The values of tasks that did not succeed."""
    causes = _causes(connection, others)
    rows = []
    for task, state, outcome, _, number in others:
        failed = state is TaskState.FAILED
        rows.append(
            (
                STATE_NUMBERS[state],
                task.turn,
                task.attempt,
                task.failures,
                task.losses,
                failed and owes,
                causes[task.id] if failed else None,
                False,
                number if _was_tried(outcome) else None,
                task.id,
            )
        )
    return rows


def _causes(connection: Connection, others: Sequence[Recorded]) -> dict[int, int]:
    """Why each task that FAILED did: the id of its cause, which is made if it is a new one."""
    known: dict[str, int] = {}
    found: dict[int, int] = {}
    for task, state, outcome, _, _ in others:
        if state is not TaskState.FAILED:
            continue
        text = signature(outcome.ending, outcome.code, outcome.err or outcome.reason.encode())
        key = digest(text)
        if key not in known:
            known[key] = _cause_id(connection, key, text, outcome.ending, outcome.code)
        found[task.id] = known[key]
    return found


def _cause_id(connection: Connection, key: str, text: str, ending: Ending, code: int) -> int:
    query = select(CAUSES.c.id).where(CAUSES.c.digest == key)
    found = connection.execute(query).scalar()
    if found is None:
        last = select(CAUSES.c.id).order_by(CAUSES.c.id.desc()).limit(1)
        found = (connection.execute(last).scalar() or 0) + 1
        values = {"id": found, "ending": int(ending), "code": code, "text": text, "digest": key}
        connection.execute(CAUSES.insert().values(values))
    return int(found)


def delete_tasks(connection: Connection, ids: Sequence[int]) -> None:
    """Delete tasks with all that belongs to them; their ids are not given again."""
    for table, column in (
        (ATTEMPTS, ATTEMPTS.c.task),
        (OUTPUTS, OUTPUTS.c.task),
        (TAGS, TAGS.c.task),
        (TASKS, TASKS.c.id),
    ):
        connection.execute(delete(table).where(column.in_(ids)))
    last = connection.execute(select(FACTS.c.value).where(FACTS.c.name == "last_id")).scalar()
    highest = max(ids, default=0)
    if last is None:
        connection.execute(FACTS.insert().values(name="last_id", value=str(highest)))
    elif int(last) < highest:
        where = FACTS.update().where(FACTS.c.name == "last_id")
        connection.execute(where.values(value=str(highest)))


def _pieces(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[i : i + _MANY] for i in range(0, len(ids), _MANY)]
