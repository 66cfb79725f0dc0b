"""Looks after a task database: makes its tables, checks, shrinks and exports it."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hypershell.app.homes import database_with_run
from hypershell.core.errors import FileRefused, FileUnwritable, system_reason
from hypershell.serverdir.directory import ServerDirectory, server_directory
from hypershell.store.sql.engine import (
    Database,
    database_url,
    initialize_database,
    open_database,
)
from hypershell.store.sql.errors import DatabaseDamaged
from hypershell.store.sql.export import export as exported
from hypershell.store.sql.export import may_be_export
from hypershell.store.sql.location import SQLITE
from hypershell.store.sql.maintenance import Census, FileSize, census, complaints
from hypershell.store.sql.maintenance import vacuum as vacuumed


class ByteWriter(Protocol):
    """What an export is written to."""

    def write(self, data: bytes, /) -> object:
        """Write all of it."""

    def flush(self) -> None:
        """See that it has left this process."""


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """A task database: its URL, or None for that of the environment or the server directory, or
    the one that has the `run` of this uid, if one is named.
    """

    server_dir: str | None = None
    url: str | None = None
    run: str = ""

    def directory(self) -> ServerDirectory:
        """The directory whose lock guards the database; SelectionUnknown."""
        directory = server_directory(self.server_dir, os.environ)
        return database_with_run(directory, self.run).directory if self.run else directory

    def full_url(self) -> str:
        """The URL of the database; SelectionUnknown."""
        if self.run:
            directory = server_directory(self.server_dir, os.environ)
            return database_with_run(directory, self.run).url
        return database_url(self.url, os.environ, self.directory().path)

    def open(self) -> Database:
        """The database, to be read only."""
        return open_database(self.full_url(), read_only=True)


def initialize(place: DatabasePlace) -> tuple[bool, str]:
    """Make the tables where they are missing; whether they were, and what the database is called.

    A SQLite file is made under the lock of the directory.
    """
    url = place.full_url()
    if url.startswith(SQLITE):
        with place.directory().hold("initdb"):
            made = initialize_database(url)
    else:
        made = initialize_database(url)
    database = place.open()
    database.close()
    return made, database.where


def check(place: DatabasePlace, complain: Callable[[str], None]) -> tuple[Census, str]:
    """What a database has in it, and what it is called; DatabaseDamaged if it is not whole.

    `complain` is called with each fault as it is found.
    """
    database = place.open()
    found = []
    try:
        for complaint in complaints(database):
            complain(complaint)
            found.append(complaint)
        if found:
            raise DatabaseDamaged(where=database.where, reason=_counted(found))
        return census(database), database.where
    finally:
        database.close()


def vacuum(place: DatabasePlace) -> tuple[FileSize, str]:
    """Shrink the database, under the lock of the directory; its sizes, and what it is called."""
    with place.directory().hold("db vacuum"):
        database = open_database(place.full_url(), create=False)
        try:
            return vacuumed(database), database.where
        finally:
            database.close()


def export(place: DatabasePlace, form: str, path: str | None, stdout: ByteWriter) -> None:
    """Write all tasks to the file at `path`, or to `stdout` if it is None.

    FileUnwritable; FileRefused for a file that holds something else than an export.
    """
    database = place.open()
    try:
        if path is None:
            _write(stdout, database, form)
            return
        try:
            with open(path, "ab") as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    _check_replaceable(path)
                    file.truncate(0)
                _write(file, database, form)
        except OSError as error:
            reason = system_reason(error)
            raise FileUnwritable(path=path, reason=reason, option="db export") from error
    finally:
        database.close()


def _check_replaceable(path: str) -> None:
    """See that a file is empty or an export: it may be the list of tasks, or the database."""
    with open(path, "rb") as file:
        if not may_be_export(file.read(1024)):
            raise FileRefused(path=path, reason="not an earlier export", option="db export")


def _write(file: ByteWriter, database: Database, form: str) -> None:
    for piece in exported(database, form):
        file.write(piece)
    file.flush()


def _counted(found: list[str]) -> str:
    return f"{found[0]}; and {len(found) - 1} more" if len(found) > 1 else found[0]
