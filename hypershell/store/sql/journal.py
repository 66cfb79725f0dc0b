"""The journal of a run in a task database: what the store decided, as statements.

The invariant: after each transaction the tables say what the store in memory said at some moment,
and that moment is not before anything that a peer was promised. It rests on the order of writes.

The store calls each change with its own lock held, so the order of calls is the order of decisions;
a call makes the rows, hands a function to the writer, and returns a commit. The store waits for the
commit after its lock is free, and only then tells anybody. The writer's lock is taken inside the
store's, for the instant in which the function is put into the queue, and nothing inside it.

The functions run later, in the loop named database, many in one transaction, without any lock of
ours. They must not look at the store: what they need was made into rows by the call. They may run
twice, as a transaction whose end nobody saw is made again: so each changes nothing where it finds
its own result. Inserts ignore what is there, updates set values, and none of them counts.

Questions go through the same queue (`_ask`), and so see all changes before them; only `find` reads
on a connection of its own, after an empty change has been written, as what people ask may take
long or fail. The drivers' own statements are used where there is one for every task.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, and_, delete, select, tuple_, update

from hypershell.core.begun import Begun
from hypershell.core.cause import digest, signature
from hypershell.core.ending import Ending
from hypershell.core.query.selection import Selection
from hypershell.core.state import CANCEL, FINAL, HANDED_OUT, TaskState
from hypershell.core.task import Task
from hypershell.runtime import clock
from hypershell.store.sql.directories import cwd_beside
from hypershell.store.sql.engine import Database
from hypershell.store.sql.row_filter import check_run, row_filter
from hypershell.store.sql.rows import rewind, task_of
from hypershell.store.sql.schema import (
    ATTEMPTS,
    CAUSES,
    CLIENTS,
    FACTS,
    IS_UNSETTLED,
    IS_WAITING,
    OUTPUTS,
    RUNNING,
    RUNS,
    SINKS,
    STATE_NUMBERS,
    STATES,
    TAGS,
    TASKS,
    is_in,
)
from hypershell.store.sql.statements import (
    attempt_rows,
    begin_tasks,
    insert_attempts,
    insert_new,
    new_rows,
    pieces,
    run_many,
    set_tasks,
    was_tried,
)
from hypershell.store.sql.writer import Writer
from hypershell.store.tasks.journal import Added, Commit, Found, Progress, Recorded
from hypershell.store.tasks.queue import Key

_DECIDED = """\
UPDATE tasks SET state = ?, sequence = ?, attempt = ?, failures = ?, losses = ?, owed = ?,
cause = ?, cancelling = FALSE, outcome_attempt = coalesce(?, outcome_attempt) WHERE id = ?"""
_SUCCEED = "state = 2, cancelling = FALSE, outcome_attempt = ?"
_CANCEL = f"state = {STATE_NUMBERS[TaskState.CANCELLED]}, cancelling = FALSE"
_SPEC = "UPDATE tasks SET spec = ? WHERE id = ?"

_OUTPUT = """\
INSERT INTO outputs (task, out, err) VALUES (?, ?, ?)
ON CONFLICT (task) DO UPDATE SET out = excluded.out, err = excluded.err"""
_ENDED = "DELETE FROM running WHERE task = ?"
_CLIENT = """\
INSERT INTO clients (id, host, pid, slots, joined_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""

T = TypeVar("T")


class SqlJournal:
    """Hands changes of run `run` to the writer. `keeps` all of it."""

    keeps = True

    def __init__(self, writer: Writer, database: Database, run: int) -> None:
        self._writer = writer
        self._database = database
        self._run = run

    def added(self, added: Added, progress: Progress | None) -> Commit:
        """Insert the tasks, and how far the input was read."""
        rows = new_rows(added, self._run, self._run, clock.wall())

        def work(connection: Connection) -> None:
            insert_new(connection, rows)
            if progress is not None:
                values = {
                    "lines_read": progress.lines,
                    "digest": progress.digest,
                    "input_ended": progress.ended,
                }
                connection.execute(update(RUNS).where(RUNS.c.id == self._run).values(values))

        return self._writer.put(work)

    def leased(self, tasks: Sequence[Task]) -> Commit:
        """Mark them as SENT."""
        by_lease = _grouped((task.lease, task.id) for task in tasks)

        def work(connection: Connection) -> None:
            for lease, ids in by_lease.items():
                set_tasks(connection, "state = 1, lease = ?", ids, lease)

        return self._writer.put(work)

    def begun(self, client: str, begun: Sequence[Begun]) -> Commit:
        """Mark them as RUNNING, with where they are."""
        return self._writer.put(lambda connection: begin_tasks(connection, client, begun))

    def recorded(
        self,
        recorded: Sequence[Recorded],
        owes: bool,
        ran: Sequence[int],
        late: bool = False,
    ) -> Commit:
        """Insert the attempts, and move the tasks."""
        attempts = attempt_rows([each for each in recorded if was_tried(each)])
        succeeded = _grouped(
            (each.attempt, each.task.id)
            for each in recorded
            if each.state is TaskState.SUCCEEDED and not late
        )
        # What is late also takes back what its task was charged with.
        others = [each for each in recorded if late or each.state is not TaskState.SUCCEEDED]
        given_up = [(each.task.id, each.attempt) for each in recorded] if late else []
        outputs = [
            (each.task.id, each.outcome.out, each.outcome.err)
            for each in recorded
            if each.task.spec.capture and each.state in FINAL
        ]

        # What such a task asks for may be more from now on.
        larger = [
            (each.task.spec.pack_for_row() or None, each.task.id)
            for each in recorded
            if each.outcome.ending is Ending.OUT_OF_MEMORY and each.state is TaskState.WAITING
        ]

        def work(connection: Connection) -> None:
            for task, number in given_up:
                where = and_(ATTEMPTS.c.task == task, ATTEMPTS.c.number == number)
                connection.execute(delete(ATTEMPTS).where(where))
            insert_attempts(connection, attempts)
            for attempt, ids in succeeded.items():
                set_tasks(connection, _SUCCEED, ids, attempt)
            if others:
                run_many(connection, _DECIDED, _decided_rows(connection, others, owes))
            run_many(connection, _OUTPUT, outputs)
            run_many(connection, _SPEC, larger)
            run_many(connection, _ENDED, [(task_id,) for task_id in ran])

        return self._writer.put(work)

    def took_back(self, tasks: Sequence[Task]) -> Commit:
        """Mark them as WAITING."""
        return self._set("state = 0, sequence = 0", [task.id for task in tasks])

    def printed(self, task_ids: Sequence[int], path: bytes, length: int) -> Commit:
        """Record that their lines need not be printed any more."""

        def work(connection: Connection) -> None:
            set_tasks(connection, "owed = FALSE", task_ids)
            if path:
                where = update(SINKS).where(SINKS.c.path == path)
                connection.execute(where.values(length=length))

        return self._writer.put(work)

    def cancelling(self, task_ids: Sequence[int]) -> Commit:
        """Note it, should the server die before they are CANCELLED."""
        return self._set("cancelling = TRUE", task_ids, only=is_in(CANCEL.once_ended))

    def cancelled(self, task_ids: Sequence[int]) -> Commit:
        """Mark them as CANCELLED."""
        # Also those that were handed out and that no client had taken.
        return self._set(_CANCEL, task_ids, only=is_in(CANCEL.at_once | CANCEL.once_ended))

    def revived(self, task_ids: Sequence[int]) -> Commit:
        """Mark them as WAITING, in the scope of this run."""

        def work(connection: Connection) -> None:
            for ids in pieces(task_ids):
                rewind(connection, TASKS.c.id.in_(ids), self._run)

        return self._writer.put(work)

    def deleted(self, task_ids: Sequence[int]) -> Commit:
        """Delete all of them."""

        def work(connection: Connection) -> None:
            for ids in pieces(task_ids):
                delete_tasks(connection, ids)

        return self._writer.put(work)

    def joined(self, client: str, host: str, pid: int, slots: int) -> Commit:
        """A client joined; attempts name it."""
        row = (client, host, pid, slots, clock.wall())
        return self._writer.put(lambda connection: run_many(connection, _CLIENT, [row]))

    def left(self, clients: Sequence[str]) -> Commit:
        """These clients left: they hold nothing any more."""
        present = update(CLIENTS).where(CLIENTS.c.left_at.is_(None))
        change = present.where(CLIENTS.c.id.in_(clients)).values(left_at=clock.wall())

        def work(connection: Connection) -> None:
            connection.execute(change)

        return self._writer.put(work)

    def flush(self) -> Commit:
        """A change that changes nothing, after all others."""
        return self._writer.put(lambda connection: None)

    # Questions.

    def find(self, selection: Selection) -> list[Found]:
        """The tasks of a selection; ValueError for one that the database cannot read, or
        SelectionUnknown."""
        t = TASKS.c
        which = row_filter(selection, self._database.dialect)
        query = select(t.id, t.state, t.group, t.scope).order_by(t.id)
        self.flush().wait()
        # Not by the writer: what people ask may take long or fail, and is none of its business.
        with self._database.reading() as connection:
            check_run(connection, selection)
            return [
                Found(row.id, STATES[row.state], row.group, row.scope == self._run)
                for row in which.rows(connection, query)
            ]

    def first_waiting(
        self, after: Key | None, limit: int, most_bytes: int
    ) -> tuple[list[Task], bool]:
        """Tasks of this run that wait, in order."""
        t = TASKS.c
        key = (t.group, t.rank, t.sequence, t.id)
        query = select(TASKS, cwd_beside(self._run)).where(IS_WAITING, t.scope == self._run)
        query = query.order_by(*key).limit(limit)
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after))

        def read(connection: Connection) -> tuple[list[Task], bool]:
            tasks: list[Task] = []
            size = 0
            # Of the statement alone: set for the connection it would go on to all that follow.
            with connection.execute(query, execution_options={"yield_per": 500}) as rows:
                for row in rows:
                    tasks.append(task_of(row, row.directory))
                    size += len(row.line)
                    if size >= most_bytes:
                        return tasks, True
            return tasks, len(tasks) == limit

        return self._ask(read)

    def unfinished_numbers(self, limit: int) -> list[int]:
        """Line numbers, in order."""
        t = TASKS.c
        query = select(t.number).where(t.scope == self._run, t.number > 0).limit(limit)
        open_states = [STATE_NUMBERS[s] for s in (*HANDED_OUT, TaskState.INTERRUPTED)]
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

    def _set(self, change: str, ids: Sequence[int], only: str = "") -> Commit:
        return self._writer.put(lambda connection: set_tasks(connection, change, ids, only=only))


def _grouped(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The second of each pair, by the first: ids to which one change is to be made."""
    found: dict[int, list[int]] = {}
    for key, task_id in pairs:
        found.setdefault(key, []).append(task_id)
    return found


def _decided_rows(
    connection: Connection, others: Sequence[Recorded], owes: bool
) -> list[tuple[Any, ...]]:
    """The values of tasks that did not succeed."""
    causes = _causes(connection, others)
    rows = []
    for each in others:
        task, state, _, _, number = each
        failed = state is TaskState.FAILED
        rows.append(
            (
                STATE_NUMBERS[state],
                task.sequence,
                task.attempt,
                task.failures,
                task.losses,
                failed and owes,
                causes[task.id] if failed else None,
                number if was_tried(each) else None,
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
        (RUNNING, RUNNING.c.task),
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
