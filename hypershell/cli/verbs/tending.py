"""What `initdb` and `db` do with a task database."""

import os
import sys
from pathlib import Path
from typing import BinaryIO

from hypershell.cli.options import Parsed
from hypershell.core.errors import FileUnwritable
from hypershell.core.units import counted
from hypershell.serverdir.directory import ServerDirectory, server_directory
from hypershell.store.sql.engine import (
    SQLITE,
    Database,
    database_url,
    initialize_database,
    open_database,
)
from hypershell.store.sql.errors import DatabaseDamaged
from hypershell.store.sql.export import FORMS
from hypershell.store.sql.export import export as exported
from hypershell.store.sql.maintenance import census, complaints
from hypershell.store.sql.maintenance import vacuum as vacuumed


def initialize(parsed: Parsed) -> int:
    """Make the tables, and say so."""
    directory, url = _place(parsed)
    if url.startswith(SQLITE):
        with directory.hold("initdb"):
            made = initialize_database(url)
    else:
        made = initialize_database(url)
    database = open_database(url, read_only=True)
    database.close()
    what = (
        "created the hyper-shell tables in" if made else "the hyper-shell tables already exist in"
    )
    print(f"{what} {database.where}")
    return 0


def check(parsed: Parsed) -> int:
    """Say whether the database is whole; DatabaseDamaged."""
    database = _open(parsed)
    found = []
    try:
        for complaint in complaints(database):
            print(complaint, flush=True)
            found.append(complaint)
        if found:
            raise DatabaseDamaged(where=database.where, reason=_counted(found))
        held = census(database)
    finally:
        database.close()
    states = ", ".join(f"{number} {name}" for name, number in held.states.items())
    print(
        f"{database.where} is intact: {counted(held.tasks, 'task')} ({states or 'none'}),"
        f" {counted(held.attempts, 'attempt')}, {counted(held.runs, 'run')}"
    )
    return 0


def vacuum(parsed: Parsed) -> int:
    """Shrink the database, and say by how much."""
    directory, url = _place(parsed)
    with directory.hold("db vacuum"):
        database = open_database(url, create=False)
        try:
            room = vacuumed(database)
        finally:
            database.close()
    print(f"{database.where}: {_mib(room.before)} before, {_mib(room.after)} now")
    return 0


def export(parsed: Parsed) -> int:
    """Write all tasks out; FileUnwritable."""
    form = parsed.choice("--format", tuple(FORMS), "json")
    database = _open(parsed)
    path = parsed.text("FILE")
    try:
        if path is None or path == "-":
            _write(sys.stdout.buffer, database, form)
            return 0
        try:
            with open(path, "wb") as file:
                _write(file, database, form)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise FileUnwritable(path=path, reason=reason, option="db export") from error
    finally:
        database.close()
    return 0


def _write(file: BinaryIO, database: Database, form: str) -> None:
    for piece in exported(database, form):
        file.write(piece)
    file.flush()


def _open(parsed: Parsed) -> Database:
    return open_database(_place(parsed)[1], read_only=True)


def _place(parsed: Parsed) -> tuple[ServerDirectory, str]:
    """The server directory, and the database that an option, the environment or it names."""
    directory = server_directory(parsed.text("--server-dir"), os.environ)
    return directory, database_url(parsed.text("--database"), os.environ, Path(directory.path))


def _counted(found: list[str]) -> str:
    return f"{found[0]}; and {len(found) - 1} more" if len(found) > 1 else found[0]


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
