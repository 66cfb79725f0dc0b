"""Which task database a run has, and how it begins there."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.core.units import counted
from hypershell.server.input.lines import STDIN, LineReader
from hypershell.server.options import ServerOptions

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)


def check_database_options(parsed: Parsed) -> None:
    """UsageError for options that contradict each other."""
    without = parsed.flag("--no-db")
    for name in ("--restart", "--resume", "--database"):
        given = parsed.flag(name) if name != "--database" else parsed.text(name) is not None
        if without and given:
            raise parsed.error(f"{name} needs a task database, but --no-db runs without one")
    if parsed.flag("--restart") and parsed.flag("--resume"):
        raise parsed.error("--restart and --resume cannot be used together")
    if parsed.flag("--restart") and parsed.text("FILE") is not None:
        hint = "--resume continues with a FILE, --restart with the task database"
        raise parsed.error("--restart and FILE cannot be used together", hint)
    if parsed.flag("--resume") and parsed.text("FILE") in (None, STDIN):
        raise parsed.error("--resume needs the FILE to continue with")


def is_named(parsed: Parsed) -> bool:
    """Whether somebody said which server directory or database it is to be."""
    options = ("--server-dir", "--database", "--resume", "--restart")
    variables = ("HYPERSHELL_SERVER_DIR", "HYPERSHELL_DATABASE")
    given = any(name in parsed and parsed.is_given(name) for name in options)
    return given or any(os.environ.get(name) for name in variables)


def begin(
    parsed: Parsed,
    options: ServerOptions,
    reader: LineReader | None,
    directory: Path,
    uid: str,
) -> "RunSession | None":
    """Open the database and begin a run in it; None with --no-db. StartError.

    The reader is past what an earlier run has read, where this one resumes it.
    """
    if parsed.flag("--no-db"):
        return None
    from hypershell.store.sql import runs
    from hypershell.store.sql.engine import database_url, open_database
    from hypershell.store.sql.session import RunSession

    how = runs.FILE
    if parsed.flag("--restart"):
        how = runs.RESTART
    elif options.endless:
        how = runs.FOREVER
    elif parsed.flag("--resume"):
        how = runs.RESUME
    database = open_database(database_url(parsed.text("--database"), os.environ, directory))
    try:
        begun = runs.begin_run(database, how, uid, _input_path(reader), options.lease)
        run_session = RunSession(database, begun, how)
        if reader is not None:
            run_session.pass_over(reader)
    except BaseException:
        database.close()
        raise
    _say_what_is_left(run_session, how)
    return run_session


def _input_path(reader: LineReader | None) -> bytes:
    if reader is None:
        return b""
    return b"-" if reader.path == STDIN else os.fsencode(os.path.abspath(reader.path))


def _say_what_is_left(run_session: "RunSession", how: str) -> None:
    begun = run_session.begun
    if begun.leftovers:
        log.warning(
            "not run: %s of earlier runs; `hyper-shell server --restart` runs what is left",
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
    if how in ("restart", "forever", "resume"):
        log.info("%s in the task database", counted(unfinished, "unfinished task"))
