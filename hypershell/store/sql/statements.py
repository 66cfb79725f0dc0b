"""The statements that every task meets, in the driver's own words: many rows at once.

There are two steps, in two threads. `new_rows` and `attempt_rows` make values of tasks, in the
thread that called the journal and under the store's lock, where the task is as it was decided. The
others run those values in the database's loop, within the writer's transaction and without a lock;
they get nothing but rows and ids. Each may run twice: inserts ignore a row that is there, updates
set what was decided. Their order within the transaction is free, as nobody sees half of one.

What binding a value costs decides the form. sqlite3 looks for an adapter for each value that is not
exactly an int, float, str or bytearray: None, bool and bytes take five times as long. What is the
same for nearly all rows is part of the text instead, so there are two texts of each insert. One
statement for many ids is better than many, as each step of SQLite gives the interpreter away; the
number of marks is a power of two, so that the driver finds few texts, and knows them.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.outcome import STDERR_TAIL
from hypershell.core.task import tags_of
from hypershell.core.task_spec import DEFAULT_SPEC
from hypershell.store.sql.directories import directory_id
from hypershell.store.tasks.journal import Added, Recorded

Values = tuple[Any, ...]

_MANY = 500  # values in one IN

_NEW = """\
INSERT INTO tasks (id, line, "group", rank, sequence, number, run, scope, added_at, {more}
state, lease, attempt, failures, losses, cancelling, owed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {marks} 0, 0, 1, 0, 0, FALSE, FALSE) ON CONFLICT DO NOTHING"""
_NEW_PLAIN = _NEW.format(more="", marks="")
_NEW_FULL = _NEW.format(more="tags, spec, made_in, cwd,", marks="?, ?, ?, ?,")
_NEW_TAG = "INSERT INTO tags (key, value, task) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

_ATTEMPT = """\
INSERT INTO attempts (task, number, slot, pid, started_at, seconds, ending, code, user_seconds,
system_seconds, peak_kib, {more}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {marks})
ON CONFLICT DO NOTHING"""
_ATTEMPT_PLAIN = _ATTEMPT.format(more="client", marks="?")
_ATTEMPT_FULL = _ATTEMPT.format(more="client, reason, err", marks="?, ?, ?")


_BEGIN = "UPDATE tasks SET state = 6 WHERE id = ? AND lease = ? AND state = 1"
_RUNNING = """\
INSERT INTO running (task, client, slot, pid, started_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (task) DO UPDATE SET client = excluded.client, slot = excluded.slot, \
pid = excluded.pid, started_at = excluded.started_at"""


class NewRows(NamedTuple):
    """New tasks: those with tags, settings or a directory of their own, and the others; and all
    tags. The last two values of the former are paths, which become ids when they are inserted.
    """

    plain: list[Values]
    full: list[Values]
    tags: list[Values]


class AttemptRows(NamedTuple):
    """Attempts: those that left something to read or had no client, and the others."""

    plain: list[Values]
    full: list[Values]


def new_rows(added: Added, run: int, scope: int, now: float) -> NewRows:
    """The rows of tasks that wait."""
    tasks, tags, made_in = added
    rows = NewRows([], [], [])
    all_full = bool(tags or made_in)
    for task in tasks:
        values = (
            task.id,
            bytearray(task.line),
            task.group,
            -task.priority,
            task.sequence,
            task.number,
            run,
            scope,
            now,
        )
        if not (all_full or task.spec is not DEFAULT_SPEC or b"HYPERSHELL:" in task.line):
            rows.plain.append(values)
            continue
        own = {**tags_of(task.line), **tags}
        rows.tags.extend((key, value, task.id) for key, value in own.items())
        cwd = os.fsencode(task.spec.cwd or "")
        others = json.dumps(own) if own else None, task.spec.pack_for_row() or None
        rows.full.append((*values, *others, made_in, b"" if cwd == made_in else cwd))
    return rows


def insert_new(connection: Connection, rows: NewRows) -> None:
    """Insert them, those that are not there yet."""
    paths = {path for values in rows.full for path in values[-2:]}
    ids = {path: directory_id(connection, path) for path in sorted(paths)}
    full = [(*values[:-2], ids[values[-2]], ids[values[-1]]) for values in rows.full]
    run_many(connection, _NEW_PLAIN, rows.plain)
    run_many(connection, _NEW_FULL, full)
    run_many(connection, _NEW_TAG, rows.tags)


def attempt_rows(recorded: Sequence[Recorded]) -> AttemptRows:
    """The rows of attempts that have ended."""
    rows = AttemptRows([], [])
    for task, _, outcome, client, number in recorded:
        values = (
            task.id,
            number,
            outcome.slot,
            outcome.pid,
            outcome.started_at,
            outcome.seconds,
            int(outcome.ending),
            outcome.code,
            outcome.user_seconds,
            outcome.system_seconds,
            outcome.peak_kib,
        )
        err = b"" if outcome.ok else outcome.err[-STDERR_TAIL:]
        if client and not (outcome.reason or err):
            rows.plain.append((*values, client))
        else:
            rows.full.append((*values, client or None, outcome.reason or None, err or None))
    return rows


def insert_attempts(connection: Connection, rows: AttemptRows) -> None:
    """Insert them, those that are not there yet."""
    run_many(connection, _ATTEMPT_PLAIN, rows.plain)
    run_many(connection, _ATTEMPT_FULL, rows.full)


def begin_tasks(connection: Connection, client: str, begun: Sequence[Begun]) -> None:
    """These are RUNNING on a client."""
    run_many(connection, _BEGIN, [(each.task_id, each.lease) for each in begun])
    rows = [(each.task_id, client, each.slot, each.pid, each.started_at) for each in begun]
    run_many(connection, _RUNNING, rows)


def set_tasks(
    connection: Connection, change: str, ids: Sequence[int], *values: Any, only: str = ""
) -> None:
    """Make one change to many tasks, to those alone for which the condition `only` holds.

    One statement takes many ids: each step of SQLite lets other threads run, and one for each
    task would wait for them each time.
    """
    where = f" AND {only}" if only else ""
    for piece in pieces(ids):
        # Few texts, each known to the driver: the last id stands again up to a power of two.
        number = 1 << (len(piece) - 1).bit_length()
        padded = (*piece, *[piece[-1]] * (number - len(piece)))
        marks = ", ".join("?" * number)
        statement = f"UPDATE tasks SET {change} WHERE id IN ({marks}){where}"
        connection.exec_driver_sql(_spoken(connection, statement), (*values, *padded))


def run_many(connection: Connection, statement: str, rows: Sequence[Values]) -> None:
    """Run it once for each of these rows of values, if there are any."""
    if rows:
        connection.exec_driver_sql(_spoken(connection, statement), list(rows))


def was_tried(recorded: Recorded) -> bool:
    """Whether something may have been started: a task that was given back was not.

    Nor was one that was cancelled before its client began it.
    """
    outcome = recorded.outcome
    if outcome.ending is Ending.CANCELLED:
        return outcome.started_at > 0
    return outcome.ending.tried


def pieces(ids: Sequence[int]) -> list[Sequence[int]]:
    """These ids, as many at a time as one statement takes."""
    return [ids[i : i + _MANY] for i in range(0, len(ids), _MANY)]


def _spoken(connection: Connection, statement: str) -> str:
    """The statement with the marks of the driver."""
    return statement if connection.dialect.paramstyle == "qmark" else statement.replace("?", "%s")
