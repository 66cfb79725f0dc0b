"""Which task database a run has, and how it begins there."""

import logging
import os
import shlex
from typing import TYPE_CHECKING, NamedTuple

from hypershell.access.errors import shown
from hypershell.access.keys import new_client_key
from hypershell.app.opened_run import OpenedRun
from hypershell.core import environment
from hypershell.core.run_mode import RunMode
from hypershell.core.units import counted
from hypershell.server.input.lines import STDIN
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.homes import MAIN

if TYPE_CHECKING:
    from hypershell.store.sql.engine import Database
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)


class DatabaseOptions(NamedTuple):
    """The task database of a run: its `url`, or None for that of the environment or directory.

    With `in_memory` there is none. `mode` says which tasks of earlier runs the run takes on, and
    `runs` those of which runs a restart does: of one uid, LAST_RUN or ALL_RUNS; "" for those that
    were made in the same working directory.
    """

    url: str | None = None
    in_memory: bool = False
    mode: RunMode = RunMode.FILE
    runs: str = ""


def is_named(options: DatabaseOptions, server_dir: str | None) -> bool:
    """Whether somebody said which server directory or database it must be."""
    if server_dir is not None or options.url is not None:
        return True
    if options.mode in (RunMode.RESUME, RunMode.RESTART):
        return True
    variables = (environment.SERVER_DIR, environment.DATABASE)
    return any(os.environ.get(name) for name in variables)


def begin(options: DatabaseOptions, run: OpenedRun, held: LockedDirectory) -> "RunSession | None":
    """Open the database and begin a run in it; None if it is kept in memory. StartError.

    Its reader is past what an earlier run has read, where this one resumes it.
    """
    if options.in_memory:
        return None
    from hypershell.store.sql.runs import Making, begin_run
    from hypershell.store.sql.session import RunSession

    mode, reader = options.mode, run.reader
    moves = run.options.spec.cwd is not None
    database = _open(options, held)
    try:
        making = Making(
            run.uid,
            input_path(None if reader is None else reader.path),
            run.options.lease,
            run.origin,
            moves,
            held.place(),
            options.runs,
            new_client_key(),
        )
        begun = begin_run(database, mode, making)
        run_session = RunSession(database, begun, mode)
        if reader is not None:
            run_session.pass_over(reader)
    except BaseException:
        database.close()
        raise
    _say_what_is_left(run_session, mode)
    return run_session


def _open(options: DatabaseOptions, held: LockedDirectory) -> "Database":
    """The database of a home: the one that is named, or else its own.

    Where the directory has a server already, that server may have the named one, too.
    """
    from hypershell.store.sql.engine import database_url, open_database, sqlite_url
    from hypershell.store.sql.errors import DatabaseTaken

    named = options.url is not None or bool(os.environ.get(environment.DATABASE))
    if held.home == MAIN or (named and not held.database_path.exists()):
        try:
            return open_database(database_url(options.url, os.environ, held.path))
        except DatabaseTaken as error:
            if held.home == MAIN or options.mode is not RunMode.FILE:
                raise
            log.warning("%s; the tasks of this run are in %s", error, shown(held.database_path))
    return open_database(sqlite_url(held.database_path))


def input_path(name: str | None) -> bytes:
    """An input as databases know it: its absolute path, b"-" for a pipe, b"" for none."""
    if name is None:
        return b""
    return b"-" if name == STDIN else os.fsencode(os.path.abspath(name))


def _say_what_is_left(run_session: "RunSession", mode: RunMode) -> None:
    begun = run_session.begun
    if begun.leftovers and mode is RunMode.RESTART:
        log.warning(
            "%s left alone: made in other directories, or of other runs; "
            "`--restart --run all` runs them, too",
            counted(begun.leftovers, "unfinished or failed task"),
        )
    elif begun.leftovers:
        log.info(
            "%s from earlier runs will not be run; use `hyper-shell server --restart` to run them",
            counted(begun.leftovers, "unfinished task"),
        )
    if begun.unread is not None:
        path, lines = begun.unread
        log.info(
            "the previous run did not read %s beyond line %d; `hyper-shell server %s --resume` "
            "continues there",
            os.fsdecode(path),
            lines,
            shlex.quote(os.fsdecode(path)),
        )
    unfinished = begun.start.tally.unfinished()
    if mode is not RunMode.FILE:
        log.info("%s in the task database", counted(unfinished, "unfinished task"))
