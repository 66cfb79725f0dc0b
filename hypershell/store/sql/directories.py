"""The directories of runs and submissions: each path is in the database once, however many tasks
were made there or run there.

A task was made where it was submitted, or where the run that read it was; it runs in the directory
that was named for it, or else where it was made. So the lines of an input, most of all tasks, name
no directory at all: their run does.
"""

import os
from dataclasses import replace
from functools import lru_cache

from sqlalchemy import ColumnElement, Connection, case, func, insert, null, select

from hypershell.core.task_spec import TaskSpec, spec_of, unpack_spec
from hypershell.store.sql.schema import DIRECTORIES, RUNS, TASKS

_T, _R = TASKS.c, RUNS.c
_OF_RUN = select(func.coalesce(_R.cwd, _R.made_in)).where(_R.id == _T.run).correlate(TASKS)
_OF_TASK = func.coalesce(_T.cwd, _T.made_in, _OF_RUN.scalar_subquery())

CWD: ColumnElement[bytes | None] = (
    select(DIRECTORIES.c.path)
    .where(DIRECTORIES.c.id == _OF_TASK)
    .correlate(TASKS)
    .scalar_subquery()
)
"""The directory in which a task runs, in a query of TASKS; NULL if nobody knows."""


def cwd_beside(run: int) -> ColumnElement[bytes | None]:
    """The same for tasks as this run has them: NULL for the lines of its own input.

    Of these the run itself knows the directory, and its tasks need not name it.
    """
    is_own = (_T.run == run) & _T.cwd.is_(None) & _T.made_in.is_(None)
    return case((is_own, null()), else_=CWD).label("directory")


def directory_id(connection: Connection, path: bytes) -> int | None:
    """The id of a directory, which is stored if it is a new one; None for b""."""
    if not path:
        return None
    known = select(DIRECTORIES.c.id).where(DIRECTORIES.c.path == path)
    found = connection.execute(known).scalar()
    if found is None:
        found = (connection.execute(select(func.max(DIRECTORIES.c.id))).scalar() or 0) + 1
        connection.execute(insert(DIRECTORIES).values(id=found, path=path))
    return int(found)


def cwd_of_run(connection: Connection, run: int) -> str | None:
    """The directory in which the lines of a run's input run; None if nobody knows."""
    number = func.coalesce(_R.cwd, _R.made_in)
    query = select(DIRECTORIES.c.path).join(RUNS, DIRECTORIES.c.id == number).where(_R.id == run)
    path = connection.execute(query).scalar()
    return None if path is None else os.fsdecode(bytes(path))


def stored_spec(packed: str | None, path: bytes | None) -> TaskSpec:
    """The settings of a task that runs in the directory `path`; None: in that of the run."""
    return unpack_spec(packed or "") if path is None else _with_cwd(packed or "", bytes(path))


@lru_cache(maxsize=1024)
def _with_cwd(packed: str, path: bytes) -> TaskSpec:
    """One value for all tasks that have the same settings."""
    return replace(unpack_spec(packed), cwd=spec_of({"cwd": os.fsdecode(path)}).cwd)
