"""A whole task database as text."""

import base64
import csv
import io
import json

import pytest

from hypershell.core.ending import Ending
from hypershell.core.joblog import JOBLOG_HEADER
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.core.task import new_task
from hypershell.store.sql import export as export_module
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.export import export
from tests.helpers.stored import CLIENT, StoredRun, ended, run_tasks

LINES = (b"echo 1", b'echo "a,b"\t\xff # HYPERSHELL: k:v', "echo \u00e9".encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """An empty database of either kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return sqlite_url(tmp_path / "t.db")


def exported(url: str, form: str) -> bytes:
    """The text of a database."""
    database = open_database(url, read_only=True)
    try:
        return b"".join(export(database, form))
    finally:
        database.close()


def test_json_has_an_object_a_task_with_its_attempts(url):
    """What is not text is there as base64 as well."""
    run_tasks(url, *LINES, codes=[3])

    first, second, _ = [json.loads(line) for line in exported(url, "json").splitlines()]

    assert ("echo 1", "failed", 1) == (first["line"], first["state"], first["number"])
    assert "line_base64" not in first
    assert [(1, "node1", CLIENT, 4711, "exited", 3)] == [
        (a["number"], a["host"], a["client"], a["pid"], a["ending"], a["exit_status"])
        for a in first["attempts"]
    ]
    assert {"k": "v"} == second["tags"]
    assert LINES[1] == base64.b64decode(second["line_base64"])


def test_json_has_what_a_captured_task_printed(url):
    """And nothing of the kind for one whose output went elsewhere, or that is not final."""
    with StoredRun(url) as run:
        run.store.add(
            [new_task(line, 0, run.store.new_id())._replace(captured=True) for line in LINES]
        )
        first, second, _ = run.store.lease(3)
        run.finish(ended(first)._replace(out=b"\xff", err=b"oh\n"))
        run.finish(ended(second, 3)._replace(out=b""))

    first, second, third = [json.loads(line) for line in exported(url, "json").splitlines()]

    assert b"\xff" == base64.b64decode(first["stdout_base64"])
    assert "oh\n" == first["stderr"]
    assert ("", "") == (second["stdout"], second["stderr"])
    assert "stdout" not in third


def test_what_is_tried_again_has_the_output_of_its_last_attempt(url):
    """And none while it waits for that."""
    with StoredRun(url) as run:
        task = new_task(b"false", 0, run.store.new_id())._replace(captured=True)
        run.store.add([task])
        run.finish(ended(run.store.lease(1)[0], 1)._replace(out=b"first"))
        run.store.retry(Selection(ids=(task.id,)))
        (waiting,) = [json.loads(line) for line in exported(url, "json").splitlines()]
        run.finish(ended(run.store.lease(1)[0])._replace(out=b"second"))
        (done,) = [json.loads(line) for line in exported(url, "json").splitlines()]

    assert "stdout" not in waiting
    assert "second" == done["stdout"]


def test_csv_has_lines_byte_for_byte(url):
    """A header, and a row a task, quoted as others read it."""
    run_tasks(url, *LINES, codes=[0, 2])

    text = exported(url, "csv").decode("utf-8", "surrogateescape")

    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(LINES) == [row["line"].encode("utf-8", "surrogateescape") for row in rows]
    assert ["0", "2", "0"] == [row["exit_status"] for row in rows]
    assert ["succeeded", "failed", "succeeded"] == [row["state"] for row in rows]


def test_the_joblog_has_tasks_that_are_final_with_their_last_attempt(url):
    """Neither one that waits nor one that is with a client."""
    with StoredRun(url, policy=Policy(max_retries=1)) as run:
        run.add(b"first", b"second", b"third")
        first, second = run.store.lease(2)
        run.finish(ended(first, 5))
        again, *_ = [t for t in run.store.lease(2) if t.id == first.id]
        run.finish(ended(again, 6))
        run.finish(Outcome(second.id, second.lease, Ending.LOST))

    header, *lines = exported(url, "joblog").splitlines(keepends=True)

    assert JOBLOG_HEADER == header
    assert [b"1\tnode1\t1700000000.000\t     0.250\t0\t0\t6\t0\tfirst\n"] == lines


def test_pages_leave_nothing_out(url, monkeypatch):
    """Whatever the number of tasks is to that of a page."""
    monkeypatch.setattr(export_module, "_PAGE", 3)
    run_tasks(url, *[b"task %d" % n for n in range(9)])

    found = [json.loads(line) for line in exported(url, "json").splitlines()]

    assert [f"task {n}" for n in range(9)] == [task["line"] for task in found]
    assert [1] * 9 == [len(task["attempts"]) for task in found]


def test_an_empty_database_is_an_empty_text(url):
    """With its header, where there is one."""
    run_tasks(url)

    assert [b"", JOBLOG_HEADER] == [exported(url, form) for form in ("json", "joblog")]
