"""A whole task database as text: JSON Lines, CSV, or a job log as GNU parallel writes it.

All of it is of one moment, and none of it is in memory longer than a page.
"""

import base64
import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, select

from hypershell.core.ending import Ending
from hypershell.core.joblog import JOBLOG_HEADER, joblog_line
from hypershell.core.query.fields import FIELDS, Kind
from hypershell.core.state import FINAL, shown_as
from hypershell.core.units import moment, signal_name
from hypershell.store.sql.directories import CWD
from hypershell.store.sql.engine import Database
from hypershell.store.sql.queries import attempt_facts
from hypershell.store.sql.rows import spec_of_row
from hypershell.store.sql.schema import ATTEMPTS, CLIENTS, OUTPUTS, RUNS, STATES, TASKS

_PAGE = 1000

_COLUMNS = (
    *("id", "line", "tags", "group", "priority", "run", "number", "state", "added", "attempt"),
    *("failures", "losses", "cause", "client", "host", "slot", "pid", "started", "ended"),
    *("duration", "ending", "exit_status", "signal", "reason", "cpu", "user", "system", "memory"),
)
"""Fields of `list`; those of an attempt are of the last one."""

_TIMES = frozenset(name for name, kind in FIELDS.items() if kind is Kind.TIME)


class _Stored(NamedTuple):
    """A task, the attempts at it in order, and the uid of its run."""

    task: Row[Any]
    attempts: list[Row[Any]]
    run: str


def export(database: Database, form: str) -> Iterator[bytes]:
    """Pieces of the text of a database; `form` is one of FORMS. DatabaseUnusable."""
    with database.reading() as connection:
        yield from FORMS[form](connection)


def _pages(connection: Connection) -> Iterator[list[_Stored]]:
    """All tasks by their ids, a page at a time."""
    uids = {row.id: row.uid for row in connection.execute(select(RUNS.c.id, RUNS.c.uid))}
    columns = [column for column in TASKS.c if column.name not in ("owed", "made_in", "cwd")]
    every: Select[Any] = select(*columns, CWD.label("directory")).order_by(TASKS.c.id)
    after = 0
    while True:
        tasks = connection.execute(every.where(TASKS.c.id > after).limit(_PAGE)).all()
        if not tasks:
            return
        first, after = tasks[0].id, tasks[-1].id
        attempts = (
            select(ATTEMPTS, CLIENTS.c.host)
            .outerjoin(CLIENTS, CLIENTS.c.id == ATTEMPTS.c.client)
            .where(ATTEMPTS.c.task.between(first, after))
            .order_by(ATTEMPTS.c.task, ATTEMPTS.c.number)
        )
        found = groupby(connection.execute(attempts).all(), lambda row: row.task)
        by_task = {task: list(rows) for task, rows in found}
        yield [_Stored(task, by_task.get(task.id, []), uids.get(task.run, "")) for task in tasks]


def _json_lines(connection: Connection) -> Iterator[bytes]:
    """An object a task, with its attempts and what was captured of its output in it."""
    for page in _pages(connection):
        for stored in page:
            # One at a time: what a task printed may be as large as a page of others.
            spec = spec_of_row(stored.task.id, stored.task.spec)
            output = _output(connection, stored.task.id) if spec.capture else {}
            yield (json.dumps(_object(stored) | output) + "\n").encode()


def _output(connection: Connection, task: int) -> dict[str, Any]:
    """What a captured task printed; nothing while it is not final."""
    query = select(OUTPUTS.c.out, OUTPUTS.c.err).where(OUTPUTS.c.task == task)
    found = connection.execute(query).first()
    return {} if found is None else _text("stdout", found.out) | _text("stderr", found.err)


def _csv(connection: Connection) -> Iterator[bytes]:
    """A row a task, with its last attempt; lines byte for byte."""
    yield ",".join(_COLUMNS).encode() + b"\n"
    for page in _pages(connection):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for stored in page:
            last = _attempt(stored.attempts[-1]) if stored.attempts else {}
            line = bytes(stored.task.line).decode("utf-8", "surrogateescape")
            facts = last | _task(stored) | {"line": line, "tags": stored.task.tags or ""}
            writer.writerow([_word(name, facts.get(name)) for name in _COLUMNS])
        yield text.getvalue().encode("utf-8", "surrogateescape")


def _word(name: str, value: Any) -> Any:
    """A value as `list --format csv` writes it."""
    if value is None:
        return ""
    if name in _TIMES:
        return moment(value)
    return signal_name(value) if name == "signal" else value


def _joblog(connection: Connection) -> Iterator[bytes]:
    """A line for each task that is final and was tried, with its last attempt."""
    yield JOBLOG_HEADER
    for page in _pages(connection):
        done = [stored for stored in page if stored.attempts and STATES[stored.task.state] in FINAL]
        yield b"".join(_joblog_line(stored.task, stored.attempts[-1]) for stored in done)


def _joblog_line(task: Row[Any], last: Row[Any]) -> bytes:
    return joblog_line(
        task.id,
        last.host or "",
        last.started_at,
        last.seconds,
        Ending(last.ending),
        last.code,
        bytes(task.line),
    )


FORMS: dict[str, Callable[[Connection], Iterator[bytes]]] = {
    "json": _json_lines,
    "csv": _csv,
    "joblog": _joblog,
}
"""The function for each format."""

_BEGINNINGS = (b'{"id": ', ",".join(_COLUMNS[:3]).encode() + b",", JOBLOG_HEADER)


def may_be_export(beginning: bytes) -> bool:
    """Whether a file that begins with this may be an export: those bytes, or as many as it has."""
    return any(beginning[: len(each)] == each[: len(beginning)] for each in _BEGINNINGS)


def _object(stored: _Stored) -> dict[str, Any]:
    facts = _task(stored) | _text("line", stored.task.line)
    facts["tags"] = json.loads(stored.task.tags or "{}")
    return facts | {"attempts": [_attempt(row) for row in stored.attempts]}


def _text(name: str, data: bytes) -> dict[str, str]:
    """Bytes under this name, as text as far as they are that; all of them if they are not."""
    data = bytes(data)  # PostgreSQL gives a view
    try:
        return {name: data.decode("utf-8")}
    except UnicodeDecodeError:
        whole = base64.b64encode(data).decode()
        return {name: data.decode("utf-8", "replace"), f"{name}_base64": whole}


def _task(stored: _Stored) -> dict[str, Any]:
    task = stored.task
    return {
        "id": task.id,
        "line": "",  # stands here, and is filled in as the form has it
        "tags": "",
        "group": task.group,
        "priority": -task.rank,
        "run": stored.run,
        "number": task.number,
        "cwd": None if task.directory is None else os.fsdecode(bytes(task.directory)),
        "state": shown_as(STATES[task.state]).value,
        "added": task.added_at,
        "attempt": task.attempt,
        "failures": task.failures,
        "losses": task.losses,
        "cause": task.cause,
    }


def _attempt(row: Row[Any]) -> dict[str, Any]:
    """An attempt as `info --json` has it; text for what it printed last."""
    columns = {
        "ending": row.ending,
        "code": row.code,
        "client": row.client,
        "host": row.host,
        "slot": row.slot,
        "pid": row.pid,
        "reason": row.reason,
        "started": row.started_at,
        "duration": row.seconds,
        "user": row.user_seconds,
        "system": row.system_seconds,
        "memory": row.peak_kib,
    }
    err = bytes(row.err or b"").decode("utf-8", "replace")
    return {"number": row.number, **attempt_facts(columns), "stderr": err}
