"""Changes to a task database while no server has it, each in one transaction.

What is submitted or is to be tried again waits for the next server that runs what is left.
"""

import itertools
from collections.abc import Iterable, Set

from sqlalchemy import Connection, select, update

from hypershell.core.query.selection import Changed, Selection
from hypershell.core.state import CANCEL, DELETE, RETRY, TaskState
from hypershell.core.submission import SubmitOptions, checked_lines
from hypershell.runtime import clock
from hypershell.store.sql.engine import Database
from hypershell.store.sql.journal import delete_tasks
from hypershell.store.sql.row_filter import row_filter
from hypershell.store.sql.rows import rewind
from hypershell.store.sql.runs import last_id
from hypershell.store.sql.schema import STATE_NUMBERS, STATES, TASKS
from hypershell.store.sql.statements import insert_new, new_rows, pieces
from hypershell.store.tasks.journal import Added

_NO_RUN = 0

_T = TASKS.c


class Offline:
    """A task database that its holder changes; DatabaseUnusable, ValueError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, batches: Iterable[list[bytes]], submit_options: SubmitOptions) -> list[int]:
        """Add the lines as tasks that wait, all or none; their ids."""
        ids: list[int] = []
        checked = [checked_lines(lines) for lines in batches]
        for lines in checked:  # what is wrong with them is no fault of the database
            submit_options.tasks(lines, lambda: 1)
        with self._database.writing() as connection:
            numbers = itertools.count(last_id(connection) + 1)
            for lines in checked:
                tasks = submit_options.tasks(lines, lambda: next(numbers))
                added = Added(tasks, submit_options.tags, submit_options.made_in)
                rows = new_rows(added, _NO_RUN, _NO_RUN, clock.wall())
                insert_new(connection, rows)
                ids += [task.id for task in tasks]
        return ids

    def cancel(self, selection: Selection) -> Changed:
        """Cancel what is not final. What clients may still run is ended when they come back."""
        with self._database.writing() as connection:
            found = _found(connection, selection)
            now, out = _in(found, CANCEL.at_once), _in(found, CANCEL.once_ended)
            cancelled = STATE_NUMBERS[TaskState.CANCELLED]
            for ids in pieces(now):
                connection.execute(update(TASKS).where(_T.id.in_(ids)).values(state=cancelled))
            for ids in pieces(out):
                connection.execute(update(TASKS).where(_T.id.in_(ids)).values(cancelling=True))
        return _changed(found, len(now) + len(out), len(found.get(TaskState.RUNNING, ())))

    def retry(self, selection: Selection) -> Changed:
        """Make FAILED, CANCELLED and INTERRUPTED tasks wait again."""
        with self._database.writing() as connection:
            found = _found(connection, selection)
            chosen = _in(found, RETRY.at_once)
            for ids in pieces(chosen):
                rewind(connection, _T.id.in_(ids), _NO_RUN)
        return _changed(found, len(chosen))

    def delete(self, selection: Selection) -> Changed:
        """Delete tasks but those that wait or that clients may still run."""
        with self._database.writing() as connection:
            found = _found(connection, selection)
            chosen = _in(found, DELETE.at_once)
            for ids in pieces(chosen):
                delete_tasks(connection, ids)
        return _changed(found, len(chosen))


def _found(connection: Connection, selection: Selection) -> dict[TaskState, list[int]]:
    """The ids of a selection by state."""
    found: dict[TaskState, list[int]] = {}
    which = row_filter(selection, connection.dialect.name)
    for row in which.rows(connection, select(_T.id, _T.state).order_by(_T.id)):
        found.setdefault(STATES[row[1]], []).append(row[0])
    return found


def _in(found: dict[TaskState, list[int]], states: Set[TaskState]) -> list[int]:
    """The ids of those in one of these states."""
    return [task_id for state, ids in found.items() if state in states for task_id in ids]


def _changed(found: dict[TaskState, list[int]], changed: int, running: int = 0) -> Changed:
    return Changed(changed, running, sum(map(len, found.values())) - changed)
