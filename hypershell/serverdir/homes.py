"""Homes: where a run has its lock and its task database, and which runs live.

The server directory is the home of one run at a time. A run that starts while another server has
it makes a home of its run directory, with a lock and a database of its own. A home is named by the
number of that directory, "" being the server directory itself. `current` leads to the run whose
home is the server directory, and to no other.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hypershell.runtime.mounts import lock_reaches_all
from hypershell.serverdir.holder import SERVER, Fate, Holder
from hypershell.serverdir.lock import LOCK, DirectoryLock
from hypershell.serverdir.run_record import Run, ServerRecord, runs_in

MAIN = ""
"""The home that is the server directory."""

MAIN_DATABASE, RUN_DATABASE = "hyper-shell.db", "tasks.db"


class LiveRun(NamedTuple):
    """A server that lives, or may live: its holder's record, its home, and its run.

    The run is None while it starts.
    """

    holder: Holder
    home: str
    run: Run | None

    @property
    def record(self) -> ServerRecord | None:
        """What its run says of itself, if it has come to that."""
        return None if self.run is None else self.run.record


def home_path(directory: Path, home: str) -> Path:
    """The directory of a home."""
    return directory / home if home else directory


def database_path(directory: Path, home: str) -> Path:
    """The task database of a home; it need not be there."""
    return home_path(directory, home) / (RUN_DATABASE if home else MAIN_DATABASE)


def homes_in(directory: Path) -> list[str]:
    """All homes: the server directory, and each run directory that has, or had, a lock.

    OSError if the directory cannot be read.
    """
    names = [run.path.name for run in runs_in(directory)]
    return [MAIN, *(name for name in names if (directory / name / LOCK).exists())]


def live_holder(path: Path, reaches: Callable[[Path], bool] = lock_reaches_all) -> Holder | None:
    """Who has a home now, or may have it if that cannot be checked from here."""
    lock = DirectoryLock(path, reaches)
    is_free = lock.is_free()
    holder = lock.holder()
    if holder is not None and is_free and lock.fate_of(holder) is Fate.GONE:
        return None
    return holder


def live_runs(directory: Path, reaches: Callable[[Path], bool] = lock_reaches_all) -> list[LiveRun]:
    """The servers that live, or may live, the one of the server directory first."""
    found: list[LiveRun] = []
    with suppress(OSError):
        runs = runs_in(directory)
        for home in homes_in(directory):
            holder = live_holder(home_path(directory, home), reaches)
            if holder is not None and holder.verb == SERVER:
                run = newest_named(runs, holder.server_uid)
                found.append(LiveRun(holder, home, run))
    return found


def newest_named(runs: list[Run], uid: str) -> Run | None:
    """The newest of these runs that has this uid: one made beforehand may come again."""
    named = (run for run in reversed(runs) if run.record and run.record.server_uid == uid)
    return next(named, None)


def newest_of_home(directory: Path, home: str) -> Run | None:
    """The last run that had this home, and that came to be published."""
    runs = runs_in(directory)
    return next((run for run in reversed(runs) if run.record and run.record.home == home), None)


def has_database(directory: Path, home: str) -> bool:
    """Whether there is a task database in a home."""
    return os.path.exists(database_path(directory, home))
