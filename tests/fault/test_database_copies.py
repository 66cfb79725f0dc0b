"""What a loss of power may leave of a SQLite database: every acknowledged outcome is in it.

A copy is made of the files of a database that is being written: first the database, then the log of
what is written ahead. Between checkpoints the first does not change, and of the log all is there
that was acknowledged before it was read; where a checkpoint came between, the copy shows no moment
that there was, and is made again. A second kind of copy has the log cut off or torn beyond what was
acknowledged, as a write that was under way may leave it.
"""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from random import Random, SystemRandom

import pytest

from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.maintenance import complaints
from tests.helpers.observer import Observer
from tests.helpers.waiting import until

TASKS = 6000
FEW = 1500


class Copier:
    """Copies the files of a database, as they are at one moment."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._random = Random(seed)

    def take(self, into: Path, observer: Observer) -> list[tuple[int, int]]:
        """Make a copy, and return what had been acknowledged by then."""
        into.mkdir()
        while True:
            before = self._state()
            database = self._path.read_bytes()
            acknowledged = list(observer.acknowledged)
            sure = self._log.stat().st_size
            log = self._log.read_bytes()
            if before == self._state():
                break
        if self._random.random() < 0.5:
            log = self._tear(log, sure)
        (into / self._path.name).write_bytes(database)
        (into / self._log.name).write_bytes(log)
        return acknowledged

    def _state(self) -> tuple[int, bytes]:
        """What changes when a checkpoint has begun: the database, or the head of a log anew."""
        with self._log.open("rb") as log:
            head = log.read(32)
        return self._path.stat().st_mtime_ns, head

    def _tear(self, log: bytes, sure: int) -> bytes:
        """The log with what was written last lost in part, and with noise behind it."""
        kept = self._random.randint(min(sure, len(log)), len(log))
        return log[:kept] + self._random.randbytes(self._random.randrange(10_000))


def look_at_copy(folder: Path, acknowledged: list[tuple[int, int]]) -> None:
    """It opens, is whole, and holds every outcome that was acknowledged."""
    path = folder / "hyper-shell.db"
    with closing(sqlite3.connect(path)) as connection:
        checked = connection.execute("PRAGMA integrity_check").fetchall()
        query = "SELECT task, code FROM attempts"
        kept = dict(connection.execute(query).fetchall())
    database = open_database(sqlite_url(path))
    found = list(complaints(database))
    database.close()

    assert [("ok",)] == checked
    assert [] == found
    assert [] == [pair for pair in acknowledged if kept.get(pair[0]) != pair[1]]


def copies(farm, tasks: int, number: int) -> None:
    """Copy the database of a server that is at work, at random moments."""
    seed = SystemRandom().randrange(10**6)
    print("seed", seed)
    random = Random(seed)
    last = threading.Event()

    def status_of(command: bytes) -> int:
        if command.endswith(b"last"):
            last.wait(60)
        return int(command.split()[1])

    server = farm.start_server([*[f"exit {n % 2}" for n in range(tasks)], "exit 1 # last"], "-b", 5)
    observer = Observer(server.port, farm.environment["HYPERSHELL_AUTH"], status_of)
    copier = Copier(farm.folder / ".hyper-shell" / "hyper-shell.db", seed)
    taken = []
    observer.start()
    for at in sorted(random.sample(range(tasks - 200), number)):
        until(lambda at=at: len(observer.acknowledged) >= at, 60, f"{at} outcomes are acknowledged")
        folder = farm.folder / f"copy-{at}"
        taken.append((folder, copier.take(folder, observer)))
    last.set()

    assert 1 == server.wait(60)
    for folder, acknowledged in taken:
        look_at_copy(folder, acknowledged)


def test_a_copy_of_the_files_holds_what_was_acknowledged(farm):
    """At a few moments of a short run."""
    copies(farm, FEW, 8)


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_copies_of_the_files_hold_what_was_acknowledged(farm):
    """At many moments of a longer run, which has checkpoints."""
    copies(farm, TASKS, 100)
