"""The most that may be told: every database keeps it, and whoever reads it can show it."""

import pytest

from hypershell.cli.output.rows import cell
from hypershell.core.query.fields import FIELDS
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.store.sql import queries as queries_module
from hypershell.store.sql.engine import sqlite_url
from hypershell.wire.worker_messages import unpack_outcome
from tests.helpers.stored import StoredRun, ended


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """An empty database of either kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return sqlite_url(tmp_path / "t.db")


def test_the_most_that_a_worker_may_tell_is_kept_and_shown(url):
    """By the database, and by whoever reads it: a time that no calendar has, say."""
    with StoredRun(url) as run:
        run.add(b"true")
        (task,) = run.store.lease(1)
        most = [task.id, task.lease, 0, 255, "x" * 4096, 1e11, 1e10, 1e10, 1e10, 2**50, 100_000]
        run.finish(unpack_outcome([*most, 2**31 - 1, b"", b"\0\xff"]))
        queries = run.kept.queries
        told = queries.task(task.id)
        (row,), _ = queries.rows(Selection(), list(told_fields()))
        found = queries.count(Selection(where="memory > 1GiB"))

    assert told is not None
    assert 255 == told["exit_status"]
    assert all(map(cell, told_fields(), row))
    assert 1 == found


def told_fields() -> list[str]:
    """All fields of a task."""
    return [name for name in FIELDS if name != "tag"]


def test_of_very_many_attempts_the_last_are_told(url, monkeypatch):
    """An answer has a limit, and -r has none."""
    monkeypatch.setattr(queries_module, "_MAX_ATTEMPTS", 3)
    with StoredRun(url, policy=Policy(max_retries=9)) as run:
        run.add(b"false")
        for _ in range(5):
            run.finish(ended(run.store.lease(1)[0], 1))
        told = run.kept.queries.task(1)

    assert told is not None
    assert [3, 4, 5] == [attempt["number"] for attempt in told["attempts"]]
