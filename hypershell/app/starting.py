"""Where a run begins: which home in the server directory it takes, and with which database.

A run of a file begins in the server directory, or, if a server has that, in a home of its own. One
that goes on begins where the tasks are: it looks in the database of every home, skips those that a
server has and names them, and never takes an older run for the one that still runs.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from hypershell.access.errors import (
    DirectoryBusy,
    DirectoryClaimed,
    DirectoryLocked,
    RunLives,
    shown,
)
from hypershell.app.database import DatabaseOptions
from hypershell.app.homes import (
    HomeDatabase,
    database_with_run,
    databases,
    is_live,
    last_start,
    newest_of,
)
from hypershell.core.errors import RunNotKept, system_reason
from hypershell.core.origin import Origin
from hypershell.core.run_mode import RunMode
from hypershell.core.run_name import ALL_RUNS, LAST_RUN
from hypershell.core.units import counted
from hypershell.serverdir.directory import ServerDirectory
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.homes import MAIN
from hypershell.serverdir.run_record import Run, runs_in

if TYPE_CHECKING:
    from hypershell.store.sql.peek import LastStart

log = logging.getLogger(__name__)

_STOPPED = 128


class Beginning(NamedTuple):
    """A run that is to begin in a server directory.

    `path` is of its input: absolute, b"-", or b"" for none. `may_share` says that it may have a
    home of its own beside a server on another machine that may be dead, or a command that takes
    long. Where the last holder cannot be checked, `answers` is asked, and `take_over` gives it up.
    """

    directory: ServerDirectory
    options: DatabaseOptions
    path: bytes
    origin: Origin
    may_share: bool = False
    take_over: bool = False
    answers: Callable[[Run], bool] | None = None
    wait_seconds: float = 10.0


class Served(NamedTuple):
    """The exit status of a run, and whether somebody ended it."""

    status: int
    told_to_end: bool


def serve_in_turn(beginning: Beginning, serve: Callable[[str], Served]) -> int:
    """Call `serve` with each home in which the run has something to do; the exit status.

    Only a restart may have several; a run that is told to end is the last.
    """
    homes = _homes(beginning)
    worst = 0
    for at, home in enumerate(homes):
        if at:
            log.info("continuing with the tasks in %s", _shown(beginning, home))
        served = serve(home)
        worst = served.status or worst
        if served.told_to_end or served.status > _STOPPED:
            left = len(homes) - at - 1
            if left:
                log.warning("%s not run; `--restart` runs them", counted(left, "more database"))
            return served.status or worst
    return worst


def hold_home(beginning: Beginning, home: str, uid: str) -> LockedDirectory:
    """Take a home for a server; a run of a file makes one where a server has the directory.

    DirectoryLocked, and what else `ServerDirectory.hold` raises.
    """
    directory = beginning.directory
    try:
        if home != MAIN:
            return directory.hold_home(home, server_uid=uid, take_over=beginning.take_over)
        return directory.hold(
            server_uid=uid,
            wait_seconds=beginning.wait_seconds,
            take_over=beginning.take_over,
            answers=beginning.answers,
        )
    except (DirectoryLocked, DirectoryBusy, DirectoryClaimed) as error:
        is_shared = beginning.may_share or isinstance(error, DirectoryLocked)
        names_database = beginning.options.url is not None
        if home != MAIN or not is_shared or not _may_begin_beside(beginning, names_database):
            raise
        held = directory.hold_new_home(uid)
        log.warning(
            "%s; this run keeps its tasks apart, and commands reach it with --run %s", error, uid
        )
        return held


def _may_begin_beside(beginning: Beginning, names_database: bool) -> bool:
    """Whether the run may have a home of its own: it has an input, or a database that was named."""
    mode = beginning.options.mode
    return mode is RunMode.FILE or (names_database and mode is not RunMode.FOREVER)


def input_digest(path: bytes) -> str:
    """What records say of an input: enough to know it again."""
    return hashlib.sha256(path).hexdigest()[:32] if path else ""


def _homes(beginning: Beginning) -> list[str]:
    """Where a run has something to do; at least one home."""
    options = beginning.options
    if options.url is not None or options.mode in (RunMode.FILE, RunMode.FOREVER):
        return [MAIN]
    if options.mode is RunMode.RESUME:
        return [_home_to_resume(beginning)]
    return _homes_to_restart(beginning)


def _home_to_resume(beginning: Beginning) -> str:
    """Where the newest run of the input is; RunLives, RunNotKept."""
    known: list[tuple[LastStart, int, HomeDatabase]] = []
    for at, database in enumerate(databases(beginning.directory)):
        start = last_start(database, beginning.path)
        if start is not None:
            known.append((start, at, database))
    newest = max(known)[2] if known else None
    _check_kept(beginning, max(known)[0].place if known else 0)
    if newest is None:
        return MAIN  # which says that there is nothing to resume
    if is_live(newest.directory):
        raise _lives(beginning, newest, f"of {shown(os.fsdecode(beginning.path))} ")
    _name_live(beginning)
    return newest.home


def _check_kept(beginning: Beginning, place: int) -> None:
    """RunNotKept if a newer run of the input left nothing, so that an older one is not taken."""
    digest = input_digest(beginning.path)
    for run in reversed(_runs(beginning)):
        if run.number <= place:
            return
        if run.record and run.record.in_memory and run.record.input == digest:
            path = shown(os.fsdecode(beginning.path))
            raise RunNotKept(uid=run.record.server_uid, path=path)


def _runs(beginning: Beginning) -> list[Run]:
    try:
        return runs_in(beginning.directory.path)
    except OSError as error:
        log.warning("cannot read %s: %s", shown(beginning.directory.path), system_reason(error))
        return []


def _homes_to_restart(beginning: Beginning) -> list[str]:
    """Where there are tasks to restart; RunLives for those of one run that a server has."""
    directory, runs = beginning.directory, beginning.options.runs
    found = databases(directory)
    if runs not in ("", ALL_RUNS):
        if runs == LAST_RUN:
            chosen = newest_of(found) if found else None
        else:
            chosen = database_with_run(directory, runs)
        if chosen is not None and is_live(chosen.directory):
            raise _lives(beginning, chosen, "")
        return [MAIN if chosen is None else chosen.home]
    _name_live(beginning)
    homes = [
        each.home for each in found if not is_live(each.directory) and _has_work(each, beginning)
    ]
    return homes or [MAIN]


def _has_work(database: HomeDatabase, beginning: Beginning) -> bool:
    from hypershell.store.sql.peek import Peek
    from hypershell.store.sql.runs import Making

    making = Making("", b"", 0.0, beginning.origin, takes=beginning.options.runs)
    return Peek(database.url).has_work(making)


def _lives(beginning: Beginning, database: HomeDatabase, of: str) -> RunLives:
    holder = database.directory.live_holder()
    uid = holder.server_uid if holder is not None else ""
    return RunLives(uid=uid, of=of, holder=holder or shown(beginning.directory.path))


def _name_live(beginning: Beginning) -> None:
    """Say which runs are left alone as they are under way."""
    for live in beginning.directory.live_runs():
        log.warning("%s is still running, and its tasks are left to it", live.holder)


def _shown(beginning: Beginning, home: str) -> str:
    return shown(beginning.directory.of_home(home).path)
