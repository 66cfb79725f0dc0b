"""Rows as tasks, and as what waits again."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, delete, select, update

from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.core.task_spec import TaskSpec
from hypershell.store.sql.directories import stored_spec
from hypershell.store.sql.errors import SettingsUnknown
from hypershell.store.sql.schema import OUTPUTS, STATE_NUMBERS, TASKS


def task_of(row: Row[Any], directory: bytes | None = None) -> Task:
    """The task of a row of `tasks`, which runs in this directory; None: in that of the run.

    SettingsUnknown for one that a later release wrote.
    """
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
        row.sequence,
        spec_of_row(row.id, row.spec, directory),
    )


def spec_of_row(task_id: int, packed: str | None, directory: bytes | None = None) -> TaskSpec:
    """The settings of a task as they are stored; SettingsUnknown.

    A later release may have a setting that this one lacks and leave the layout as it is.
    """
    try:
        return stored_spec(packed, directory)
    except ValueError as error:
        raise SettingsUnknown(task=task_id, reason=str(error)) from error


def rewind(
    connection: Connection,
    which: ColumnElement[bool],
    scope: int | None = None,
    *,
    counts_go_on: bool = False,
) -> int:
    """Tasks that are not under way wait again; how many there were.

    They come into the scope of a run, or stay where they are, and have all their retries again,
    unless what they have used up goes on to count.
    What is owed for one that failed stays owed.
    """
    t = TASKS.c
    tried = t.outcome_attempt == t.attempt
    values = {
        t.state: STATE_NUMBERS[TaskState.WAITING],
        t.scope: t.scope if scope is None else scope,
        t.sequence: 2 * t.id,
        t.attempt: case((tried, t.attempt + 1), else_=t.attempt),
        t.cause: None,
        t.cancelling: False,
    }
    if not counts_go_on:
        values |= {t.failures: 0, t.losses: 0}
    # What an earlier attempt printed is not the output of the next.
    may_be_captured = select(t.id).where(which, t.spec.is_not(None))
    connection.execute(delete(OUTPUTS).where(OUTPUTS.c.task.in_(may_be_captured)))
    result = connection.execute(update(TASKS).where(which).values(values))
    return result.rowcount
