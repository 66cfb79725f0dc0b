"""The writer of a database at the end of a run, when the database does not answer."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.store.sql import writer as module
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseStalled
from hypershell.store.sql.writer import Writer


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
