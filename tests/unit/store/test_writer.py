"""The writer of a database at the end of a run, when the database does not answer."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.store.sql import writer as module
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseStalled
from hypershell.store.sql.writer import PendingCommit, Writer
from tests.helpers.fakes import Call


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A writer that writes."""
    database = open_database(sqlite_url(tmp_path / "farm.db"))
    writer = Writer(database)

    def write() -> None:
        while writer.one_pass():
            pass

    thread = threading.Thread(target=write)
    thread.start()
    yield writer
    writer.close()
    thread.join()
    database.close()


def test_a_database_that_is_silent_does_not_hold_up_the_end(writer: Writer, monkeypatch):
    """A write neither succeeds nor fails: who waits for it, or would, learns of it in time."""
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.1)
    answer = threading.Event()
    under_way = threading.Event()

    def silent(connection: object) -> None:
        under_way.set()
        answer.wait()

    commit = writer.put(silent)
    under_way.wait()
    behind = writer.put(lambda connection: None)

    writer.limit_patience(0.0)

    for each in (commit, behind):
        with pytest.raises(DatabaseStalled, match="it does not answer"):
            each.wait()
    answer.set()
    with pytest.raises(DatabaseStalled):
        writer.put(lambda connection: None).wait()


def test_a_database_that_answers_is_written_to_the_end(writer: Writer, monkeypatch):
    """However little patience there is."""
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.1)
    writer.limit_patience(0.0)

    for _ in range(100):
        writer.put(lambda connection: None).wait()


class PausingLock:
    """A lock whose holder stays inside a `with` until it is let out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.acquire, self.release = self._lock.acquire, self._lock.release
        self.locked = self._lock.locked
        self.entered, self.let_out = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self._lock.acquire()
        self.entered.set()
        self.let_out.wait()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_commit_that_is_finished_stays_so_while_one_passes_who_waited(monkeypatch):
    """It holds a lock for an instant, which says nothing about the commit."""
    lock = PausingLock()
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Lock", lambda: lock)
        commit = PendingCommit()
    commit.finish()
    passing = Call(commit.wait)
    lock.entered.wait()

    commit.finish(DatabaseStalled(where="here", reason="it does not answer"))

    lock.let_out.set()
    passing.result()
    commit.wait()


def test_a_commit_that_failed_says_so_to_all_who_wait():
    """Whenever they come; the first error is the one that counts."""
    commit = PendingCommit()
    waiting = [Call(commit.wait) for _ in range(3)]

    commit.finish(DatabaseStalled(where="here", reason="the first"))
    commit.finish(DatabaseStalled(where="here", reason="the second"))

    for call in [*waiting, Call(commit.wait)]:
        with pytest.raises(DatabaseStalled, match="the first"):
            call.result()
