"""Which task database a run has, and how it begins there."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hypershell.app.opened_run import OpenedRun
from hypershell.core import environment
from hypershell.core.run_mode import RunMode
from hypershell.core.units import counted
from hypershell.server.input.lines import STDIN, LineReader

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)


class DatabaseOptions(NamedTuple):
    """The task database of a run: its `url`, or None for that of the environment or directory.

    With `in_memory` there is none. `mode` says which tasks of earlier runs the run takes on.
    """

    url: str | None = None
    in_memory: bool = False
    mode: RunMode = RunMode.FILE


def is_named(options: DatabaseOptions, server_dir: str | None) -> bool:
    """Whether somebody said which server directory or database it must be."""
    if server_dir is not None or options.url is not None:
        return True
    if options.mode in (RunMode.RESUME, RunMode.RESTART):
        return True
    variables = (environment.SERVER_DIR, environment.DATABASE)
    return any(os.environ.get(name) for name in variables)


def begin(options: DatabaseOptions, run: OpenedRun, directory: Path) -> "RunSession | None":
    """Open the database and begin a run in it; None if it is kept in memory. StartError.

    Its reader is past what an earlier run has read, where this one resumes it.
    """
    if options.in_memory:
        return None
    from hypershell.store.sql.engine import database_url, open_database
    from hypershell.store.sql.runs import Making, begin_run
    from hypershell.store.sql.session import RunSession

    mode, reader = options.mode, run.reader
    moves = run.options.spec.cwd is not None
    making = Making(run.uid, _input_path(reader), run.options.lease, run.origin, moves)
    database = open_database(database_url(options.url, os.environ, directory))
    try:
        begun = begin_run(database, mode, making)
        run_session = RunSession(database, begun, mode)
        if reader is not None:
            run_session.pass_over(reader)
    except BaseException:
        database.close()
        raise
    _say_what_is_left(run_session, mode)
    return run_session


def _input_path(reader: LineReader | None) -> bytes:
    if reader is None:
        return b""
    return b"-" if reader.path == STDIN else os.fsencode(os.path.abspath(reader.path))


def _say_what_is_left(run_session: "RunSession", mode: RunMode) -> None:
    begun = run_session.begun
    if begun.leftovers:
        log.warning(
            "%s from earlier runs will not be run; use `hyper-shell server --restart` to run them",
            counted(begun.leftovers, "unfinished task"),
        )
    if begun.unread is not None:
        path, lines = begun.unread
        log.warning(
            "the previous run did not read %s beyond line %d; `hyper-shell server FILE "
            "--resume` continues there",
            os.fsdecode(path),
            lines,
        )
    unfinished = begun.start.tally.unfinished()
    if mode is not RunMode.FILE:
        log.info("%s in the task database", counted(unfinished, "unfinished task"))
