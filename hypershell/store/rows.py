"""Tasks as rows, and rows as tasks."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, update

from hypershell.core.state import TaskState
from hypershell.core.task import Task, tags_of
from hypershell.store.schema import STATE_NUMBERS, TASKS

waiting_columns = (
    "id",
    "line",
    "tags",
    "group",
    "rank",
    "turn",
    "run",
    "scope",
    "number",
    "state",
    "lease",
    "attempt",
    "failures",
    "losses",
    "max_retries",
    "captured",
    "cancelling",
    "owed",
    "added_at",
)
"""Of a task that was just added."""


def inserted(
    tasks: Sequence[Task], tags: Mapping[str, str], run: int, scope: int, now: float
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The values of new tasks in the order of `waiting_columns`; and key, value, task of tags."""
    rows: list[tuple[Any, ...]] = []
    pairs: list[tuple[Any, ...]] = []
    for task in tasks:
        text = None
        if tags or b"HYPERSHELL:" in task.line:
            own = {**tags_of(task.line), **tags}
            pairs += [(key, value, task.id) for key, value in own.items()]
            text = json.dumps(own) if own else None
        rows.append(
            (
                task.id,
                task.line,
                text,
                task.group,
                -task.priority,
                task.turn,
                run,
                scope,
                task.number,
                0,
                0,
                1,
                0,
                0,
                task.max_retries,
                task.captured,
                False,
                False,
                now,
            )
        )
    return rows, pairs


def task_of(row: Row[Any]) -> Task:
    """The task of a row of `tasks`."""
    return Task(
        row.id,
        bytes(row.line),
        row.number,
        row.lease,
        row.attempt,
        row.failures,
        row.losses,
        row.group,
        -row.rank,
        row.turn,
        row.max_retries,
        bool(row.captured),
    )


def rewind(connection: Connection, which: ColumnElement[bool], scope: int) -> int:
    """Tasks that are not under way wait again, with all their retries; how many there were.

    What is owed for one that failed stays owed.
    """
    t = TASKS.c
    tried = t.outcome_attempt == t.attempt
    values = {
        t.state: STATE_NUMBERS[TaskState.WAITING],
        t.scope: scope,
        t.turn: 2 * t.id,
        t.attempt: case((tried, t.attempt + 1), else_=t.attempt),
        t.failures: 0,
        t.losses: 0,
        t.cause: None,
        t.cancelling: False,
    }
    result = connection.execute(update(TASKS).where(which).values(values))
    return result.rowcount
