"""Which task databases a server directory has, and which of them a command means."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hypershell.access.errors import shown
from hypershell.core import environment
from hypershell.core.errors import IdsAmbiguous, SelectionUnknown, StartError
from hypershell.serverdir.directory import ServerDirectory
from hypershell.serverdir.holder import SERVER
from hypershell.serverdir.homes import (
    MAIN,
    database_path,
    has_database,
    homes_in,
)

if TYPE_CHECKING:
    from hypershell.store.sql.peek import LastStart


class HomeDatabase(NamedTuple):
    """The task database of a home: its URL, and the directory whose lock guards it."""

    home: str
    url: str
    directory: ServerDirectory


def home_url(directory: Path, home: str) -> str:
    """The URL of a home's task database: of the main one, what the environment names."""
    from hypershell.store.sql.engine import database_url, sqlite_url

    if home == MAIN:
        return database_url(None, os.environ, directory)
    return sqlite_url(database_path(directory, home))


def main_is_named() -> bool:
    """Whether the environment names the task database of the server directory."""
    return bool(os.environ.get(environment.DATABASE))


def databases(directory: ServerDirectory) -> list[HomeDatabase]:
    """The task databases of a directory, the main one first."""
    path = directory.path
    try:
        homes = homes_in(path)
    except OSError:
        homes = [MAIN]
    return [
        HomeDatabase(home, home_url(path, home), directory.of_home(home))
        for home in homes
        if has_database(path, home) or (home == MAIN and main_is_named())
    ]


def is_live(directory: ServerDirectory) -> bool:
    """Whether a server has this home, or may have it."""
    holder = directory.live_holder()
    return holder is not None and holder.verb == SERVER


def database_with_run(directory: ServerDirectory, uid: str) -> HomeDatabase:
    """The database in which the run with this uid is; SelectionUnknown."""
    from hypershell.store.sql.peek import Peek

    found = [each for each in databases(directory) if Peek(each.url).has_run(uid)]
    if not found:
        raise SelectionUnknown(what=f"run {uid} in {shown(directory.path)}")
    return found[-1]


def main_database(directory: ServerDirectory) -> HomeDatabase | None:
    """The directory's own database, if it has one."""
    return next((each for each in databases(directory) if each.home == MAIN), None)


def idle_database(directory: ServerDirectory, ids: tuple[int, ...]) -> HomeDatabase | None:
    """The database that a command means which names no run, while no server answers.

    That of the newest start; None if there is none. Ids are looked up in all that no server has,
    and must not be in several: IdsAmbiguous.
    """
    idle = [each for each in databases(directory) if not is_live(each.directory)]
    if len(idle) < 2:
        return idle[0] if idle else None
    return _with_ids(idle, ids) if ids else newest_of(idle)


def _with_ids(idle: list[HomeDatabase], ids: tuple[int, ...]) -> HomeDatabase:
    from hypershell.store.sql.peek import Peek

    found = [each for each in idle if Peek(each.url).has_ids(ids)]
    if len(found) > 1:
        starts = [start for start in map(last_start, found) if start is not None]
        raise IdsAmbiguous(runs=", ".join(start.uid for start in starts))
    return found[0] if found else idle[0]


def newest_of(those: list[HomeDatabase]) -> HomeDatabase:
    """The one of these that has the newest start; the first, if none has any."""
    starts = [(last_start(each), at) for at, each in enumerate(those)]
    known = [(start, at) for start, at in starts if start is not None]
    return those[max(known)[1]] if known else those[0]


def last_start(database: HomeDatabase, path: bytes | None = None) -> "LastStart | None":
    """The newest start in a database, or that of a run of this input."""
    from hypershell.store.sql.peek import Peek

    return Peek(database.url).last_start(path)


def unfinished_runs(directory: Path, home: str) -> set[str] | None:
    """The uids of runs with unfinished tasks in the database of a home; None if it cannot be
    read.
    """
    from hypershell.store.sql.peek import Peek

    try:
        return Peek(home_url(directory, home)).unfinished()
    except StartError:
        return None
