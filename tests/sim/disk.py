"""The disk under a simulated task database: real SQLite, with commits that take time or fail.

The file is in memory (/dev/shm). A commit is made, and is on the disk only a moment later: a
process that is killed in between has committed, and its machine may come back without it. Nothing
that was synced is ever lost.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.sim.scheduler import Process, Scheduler

if TYPE_CHECKING:
    from hypershell.store.sql.engine import Database

_SUFFIXES = ("", "-wal")

_connect = sqlite3.connect
_disk: "Disk | None" = None


class SimSqlite(sqlite3.Connection):
    """A connection whose commits are those of a simulated disk."""

    may_write = False

    def commit(self) -> None:
        """Commit, in a while."""
        disk = _disk
        if disk is None or not self.may_write or not self.in_transaction:
            super().commit()
            return
        disk.before_commit()
        super().commit()
        disk.after_commit()


def _simulated_connect(name: Any, *args: Any, **named: Any) -> sqlite3.Connection:
    connection = _connect(name, *args, factory=SimSqlite, **named)
    connection.may_write = "mode=rw" in str(name)
    if _disk is not None:
        _disk.opened(connection)
    return connection


class Disk:
    """The disk of the machine of a server."""

    def __init__(self, scheduler: Scheduler, may_lose: bool) -> None:
        global _disk
        _disk = self
        self.scheduler = scheduler
        self.path = _directory() / "tasks.db"
        self.full_until = -1.0
        self.slow_until = -1.0
        self.commits = 0
        self._may_lose = may_lose
        self._unsynced: dict[str, bytes] | None = None
        self._open: list[tuple[Process | None, sqlite3.Connection]] = []
        self._databases: list[tuple[Process | None, Database]] = []
        self._remove()
        self.path.write_bytes(_template())

    def _remove(self) -> None:
        for suffix in (*_SUFFIXES, "-shm"):
            with suppress(OSError):
                os.unlink(f"{self.path}{suffix}")

    def open(self) -> "Database":
        """The database, for a server that starts; what dead ones had open is closed."""
        from hypershell.store.sql.engine import open_database, sqlite_url

        self.close_dead()
        database = open_database(sqlite_url(self.path))
        current = self.scheduler.current
        self._databases.append((None if current is None else current.process, database))
        return database

    def opened(self, connection: sqlite3.Connection) -> None:
        """A connection of whichever process runs now."""
        current = self.scheduler.current
        self._open.append((None if current is None else current.process, connection))

    def close_dead(self) -> None:
        """The system closes the files of processes that are dead."""
        left = []
        for process, connection in self._open:
            if process is None or process.is_dead:
                with suppress(sqlite3.Error):
                    connection.rollback()
                    connection.close()
            else:
                left.append((process, connection))
        self._open = left
        for process, database in list(self._databases):
            if process is None or process.is_dead:
                self._databases.remove((process, database))
                with suppress(sqlite3.Error, OSError):
                    database.close()

    def before_commit(self) -> None:
        """The data are written: it takes a while, or there is no space."""
        scheduler = self.scheduler
        if scheduler.current is None:
            return
        pause = scheduler.rng.expovariate(1 / 0.002)
        if scheduler.now < self.slow_until:
            pause = self.slow_until - scheduler.now
        scheduler.park(pause)
        if scheduler.now < self.full_until:
            raise sqlite3.OperationalError("database or disk is full")
        self.commits += 1
        if self._may_lose:
            self._unsynced = self._files()

    def after_commit(self) -> None:
        """It is on the disk soon."""
        scheduler = self.scheduler
        if scheduler.current is not None:
            scheduler.park(scheduler.rng.expovariate(1 / 0.002))
        self._unsynced = None

    def crash(self) -> None:
        """The machine is gone: the last commit may be, too, if it was not synced."""
        self.close_dead()
        unsynced, self._unsynced = self._unsynced, None
        if unsynced is not None and self.scheduler.rng.random() < 0.5:
            self._remove()
            for suffix, data in unsynced.items():
                Path(f"{self.path}{suffix}").write_bytes(data)

    def _files(self) -> dict[str, bytes]:
        found = {}
        for suffix in _SUFFIXES:
            with suppress(OSError):
                found[suffix] = Path(f"{self.path}{suffix}").read_bytes()
        return found

    def close(self) -> None:
        """The world is over."""
        global _disk
        self._databases = [(None, database) for _, database in self._databases]
        self._open = [(None, connection) for _, connection in self._open]
        self.close_dead()
        self._remove()
        _disk = None


_state: dict[str, Any] = {}


def _directory() -> Path:
    """Where the databases of this process are."""
    if _state.get("pid") != os.getpid():
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        _state["directory"] = Path(tempfile.mkdtemp(prefix="hyper-shell-sim-", dir=base))
        _state["pid"] = os.getpid()
    directory: Path = _state["directory"]
    return directory


def remove_directory() -> None:
    """Nothing of this process stays."""
    if _state.get("pid") == os.getpid():
        shutil.rmtree(_state["directory"], ignore_errors=True)
        _state.clear()


def _template() -> bytes:
    """An empty database, as `initdb` makes it."""
    if "template" not in _state:
        from hypershell.store.sql.engine import open_database, sqlite_url

        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "template.db"
            open_database(sqlite_url(path)).close()
            _state["template"] = path.read_bytes()
    template: bytes = _state["template"]
    return template


@contextmanager
def replaced() -> Iterator[None]:
    """Databases are on simulated disks meanwhile."""
    _template()
    with mock.patch("sqlite3.connect", _simulated_connect):
        yield
