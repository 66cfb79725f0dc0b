"""What people ask of a task database: counts, rows, one task, why tasks failed. It only reads."""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from hypershell.core.ending import Code, Ending
from hypershell.core.query.columns import COLUMNS
from hypershell.core.query.selection import UNFINISHED, Selection
from hypershell.core.state import TaskState, shown_as
from hypershell.core.task_spec import SHOWN, unpack_spec
from hypershell.store.sql.directories import CWD
from hypershell.store.sql.engine import Database
from hypershell.store.sql.filters import Clause, in_states, states_meant
from hypershell.store.sql.kinds import checked, checked_text
from hypershell.store.sql.row_filter import RowFilter, row_filter
from hypershell.store.sql.schema import (
    ATTEMPTS,
    CAUSES,
    CLIENTS,
    IS_UNSETTLED,
    IS_WAITING,
    OUTPUTS,
    RUNNING,
    RUNNING_NUMBER,
    RUNS,
    STATE_NUMBERS,
    STATES,
    TASKS,
)

MAX_ROWS = 5000
"""Rows in one answer."""

_MAX_BYTES = 8 * 2**20
_MAX_HOSTS = 20
_MAX_ATTEMPTS = 1000
_MAX_SHOWN = 4096
"""Bytes of a line that is an example."""


_T, _A, _R = TASKS.c, ATTEMPTS.c, RUNNING.c
_PRESENT = CLIENTS.alias("present")
_FAILED = STATE_NUMBERS[TaskState.FAILED]
_STARTED = _A.started_at > 0

_TASK_COLUMNS: dict[str, ColumnElement[Any]] = {
    "id": _T.id,
    "line": _T.line,
    "state": _T.state,
    "attempt": _T.attempt,
    "failures": _T.failures,
    "losses": _T.losses,
    "group": _T.group,
    "priority": -_T.rank,
    "number": _T.number,
    "cause": _T.cause,
    "added": _T.added_at,
    "tags": _T.tags,
    "spec": _T.spec,
}

_ATTEMPT_COLUMNS: dict[str, ColumnElement[Any]] = {
    "ending": _A.ending,
    "code": _A.code,
    "duration": _A.seconds,
    "client": _A.client,
    "slot": _A.slot,
    "pid": _A.pid,
    "reason": _A.reason,
    "started": _A.started_at,
    "user": _A.user_seconds,
    "system": _A.system_seconds,
    "memory": _A.peak_kib,
    "host": CLIENTS.c.host,
}

_RUNNING_COLUMNS: dict[str, ColumnElement[Any]] = {
    "client": _R.client,
    "slot": _R.slot,
    "pid": _R.pid,
    "started": _R.started_at,
    "host": _PRESENT.c.host,
}
"""What is known of an attempt that runs; of the last one that ended nothing is shown meanwhile."""


class Queries:
    """Each answer is of one moment. Plain values throughout; DatabaseUnusable; ValueError for a
    condition that cannot be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, selection: Selection) -> int:
        """How many tasks there are in a selection."""
        parts: list[list[Clause]] = [[]]
        if TaskState.WAITING in selection.states:
            # Parts that exclude each other, each of which finds its index.
            parts, selection = _parts_of(selection.states), replace(selection, states=())
        which = row_filter(selection, self._database.dialect)
        with self._database.reading() as connection:
            return sum(which.count(connection, *part) for part in parts)

    def rows(
        self, selection: Selection, fields: Sequence[str], after: int = 0, limit: int = MAX_ROWS
    ) -> tuple[list[list[Any]], int]:
        """The values of these fields of the tasks after an id, by id; and the last id.

        There may be more of them unless that is 0. Times are seconds since the epoch, sizes bytes;
        what a task does not have is None.
        """
        limit = min(limit, MAX_ROWS)
        which = row_filter(selection, self._database.dialect)
        query = _row_query(fields, _needs_attempt(fields)).where(_T.id > after).order_by(_T.id)
        if which.test is None:
            query = query.limit(limit)
        found: list[list[Any]] = []
        size = 0
        with (
            self._database.reading() as connection,
            closing(which.rows(connection, query)) as rows,
        ):
            for row in rows:
                facts = _facts(row)
                found.append([_value(facts, name) for name in fields])
                size += len(facts.get("line") or b"") + len(row.tags or "")
                if size >= _MAX_BYTES or len(found) == limit:
                    return found, row.id
        return found, 0

    def task(self, task_id: int) -> dict[str, Any] | None:
        """All of a task, with its attempts and, if it was captured, what it printed."""
        names = list(COLUMNS)
        with self._database.reading() as connection:
            row = connection.execute(_row_query(names, True).where(_T.id == task_id)).one_or_none()
            if row is None:
                return None
            facts = _facts(row)
            answer = {name: _value(facts, name) for name in names}
            answer["attempts"] = _attempts(connection, task_id)
            answer["output"] = _output(connection, task_id)
        return answer

    def output(self, task_id: int) -> list[bytes] | None:
        """What a captured task printed to its standard output and error; None if it is not here."""
        with self._database.reading() as connection:
            return _output(connection, task_id)

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """The FAILED tasks of a selection by cause, the most frequent first."""
        failed: list[Clause] = [IS_UNSETTLED, _T.state == _FAILED]
        which = row_filter(selection, self._database.dialect)
        with self._database.reading() as connection:
            groups = which.groups(connection, _T.cause, *failed)
            hosts = _hosts(connection, which, failed)
            found = [
                {
                    "cause": cause or 0,
                    "count": group.number,
                    "text": _cause_text(connection, cause),
                    "hosts": hosts.get(cause, []),
                    **_example(connection, group.last_id),
                }
                for cause, group in groups.items()
            ]
        return sorted(found, key=lambda each: (-each["count"], each["cause"]))

    def unfinished(self, selection: Selection, limit: int) -> list[int]:
        """Ids of tasks of a selection that are not final; the first ones."""
        which = row_filter(selection, self._database.dialect)
        with self._database.reading() as connection:
            parts = [which.ids(connection, limit, *part) for part in _parts_of(UNFINISHED)]
        return sorted(chain.from_iterable(parts))[:limit]

    def outcome(self, selection: Selection) -> tuple[int, int]:
        """How many tasks of a selection are not final, and how many FAILED or were CANCELLED."""
        return self._outcome(row_filter(selection, self._database.dialect))

    def last_run(self) -> tuple[int, int]:
        """The same of what the last run saw to."""
        scope = select(func.max(RUNS.c.id)).scalar_subquery()
        return self._outcome(RowFilter((_T.scope == scope,)))

    def _outcome(self, which: RowFilter) -> tuple[int, int]:
        numbers: dict[TaskState, int] = {}
        with self._database.reading() as connection:
            for part in (IS_WAITING, IS_UNSETTLED):
                groups = which.groups(connection, _T.state, part)
                numbers |= {STATES[state]: group.number for state, group in groups.items()}
        unfinished = sum(numbers.get(state, 0) for state in states_meant(UNFINISHED))
        return unfinished, sum(numbers.values()) - unfinished


def check_fields(fields: object) -> list[str]:
    """The names of fields that rows can have; ValueError."""
    if not isinstance(fields, list) or not fields or len(fields) > 100:
        raise ValueError("not a list of fields")
    for name in fields:
        if not isinstance(name, str) or (name not in COLUMNS and not name.startswith("tag.")):
            raise ValueError(f"unknown field {name}; fields are {', '.join(COLUMNS)}, tag.KEY")
    return fields


def _parts_of(shown: Iterable[TaskState]) -> list[list[Clause]]:
    """Clauses for tasks in these states, WAITING among them: in parts that exclude each other."""
    others = states_meant(shown) - {TaskState.WAITING}
    return [[IS_WAITING], in_states(others)]


def _needs_attempt(fields: Sequence[str]) -> bool:
    plain = {*_TASK_COLUMNS, *SHOWN, "run"}
    return any(name not in plain for name in fields if "." not in name)


def _row_query(fields: Sequence[str], with_attempt: bool) -> Select[Any]:
    columns = [column.label(name) for name, column in _TASK_COLUMNS.items() if name != "line"]
    if "line" in fields:
        columns.append(_T.line.label("line"))
    if "cwd" in fields:
        columns.append(CWD.label("cwd"))
    source: Any = TASKS
    if with_attempt:
        columns += [column.label(f"a_{name}") for name, column in _ATTEMPT_COLUMNS.items()]
        columns += [column.label(f"r_{name}") for name, column in _RUNNING_COLUMNS.items()]
        last = and_(_A.task == _T.id, _A.number == _T.outcome_attempt)
        source = source.outerjoin(ATTEMPTS, last).outerjoin(CLIENTS, CLIENTS.c.id == _A.client)
        runs = and_(_T.state == RUNNING_NUMBER, RUNNING.c.task == _T.id)
        source = source.outerjoin(RUNNING, runs).outerjoin(_PRESENT, _PRESENT.c.id == _R.client)
    if "run" in fields:
        columns.append(RUNS.c.uid.label("run"))
        source = source.outerjoin(RUNS, RUNS.c.id == _T.run)
    return select(*columns).select_from(source)


def _facts(row: Row[Any]) -> dict[str, Any]:
    """A row by the names of FIELDS; what was not asked for is not in it."""
    facts = {n: value for n, value in row._mapping.items() if not n.startswith(("a_", "r_"))}
    facts["state"] = shown_as(STATES[facts["state"]]).value
    spec = unpack_spec(facts.pop("spec") or "")
    facts = {name: getattr(spec, name) for name in SHOWN} | facts
    if facts["cwd"] is not None:
        facts["cwd"] = os.fsdecode(bytes(facts["cwd"]))
    facts["tags"] = json.loads(facts["tags"]) if facts["tags"] else {}
    if facts.get("line") is not None:
        facts["line"] = bytes(facts["line"])
    if row._mapping.get("r_client") is not None:
        facts |= {name: row._mapping[f"r_{name}"] for name in _RUNNING_COLUMNS}
        known = facts["pid"] > 0
        facts |= {} if known else dict.fromkeys(("slot", "pid", "started"))
    elif row._mapping.get("a_ending") is not None:
        tried = {n[2:]: value for n, value in row._mapping.items() if n.startswith("a_")}
        facts |= _tried(tried)
    checked(facts)
    return facts


def _tried(tried: dict[str, Any]) -> dict[str, Any]:
    """What an attempt tells, by the names of FIELDS."""
    ending, code = Ending(tried.pop("ending")), tried.pop("code")
    tried["exit_status"] = code if ending.code_is is Code.EXIT_STATUS else None
    tried["signal"] = code if ending.code_is is Code.SIGNAL else None
    tried["ending"] = ending.word
    tried["pid"] = tried["pid"] or None
    if tried["started"] > 0:
        tried["ended"] = tried["started"] + tried["duration"]
        tried["cpu"] = tried["user"] + tried["system"]
        tried["memory"] = tried["memory"] * 1024 or None
    else:
        tried |= dict.fromkeys(("started", "duration", "user", "system", "memory"))
    return tried


def _value(facts: dict[str, Any], name: str) -> Any:
    if name.startswith("tag."):
        return facts["tags"].get(name[4:])
    return facts.get(name)


def _attempts(connection: Connection, task_id: int) -> list[dict[str, Any]]:
    """The last attempts at a task, in order."""
    columns = [column.label(name) for name, column in _ATTEMPT_COLUMNS.items()]
    source = ATTEMPTS.outerjoin(CLIENTS, CLIENTS.c.id == _A.client)
    query = select(_A.number, _A.err, *columns).select_from(source).where(_A.task == task_id)
    found = []
    last = connection.execute(query.order_by(_A.number.desc()).limit(_MAX_ATTEMPTS)).all()
    for row in reversed(last):
        tried = _tried({name: row._mapping[name] for name in _ATTEMPT_COLUMNS})
        checked({"attempt": row.number, **tried})
        found.append({"number": row.number, **tried, "stderr": bytes(row.err or b"")})
    return found


def _output(connection: Connection, task_id: int) -> list[bytes] | None:
    query = select(OUTPUTS.c.out, OUTPUTS.c.err).where(OUTPUTS.c.task == task_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else [bytes(row.out), bytes(row.err)]


def _hosts(
    connection: Connection, which: RowFilter, failed: list[Clause]
) -> dict[int | None, list[str]]:
    """On which hosts the tasks of each cause failed last, the first ones by name."""
    last = and_(_A.task == _T.id, _A.number == _T.outcome_attempt)
    source = TASKS.join(ATTEMPTS, last).join(CLIENTS, CLIENTS.c.id == _A.client)
    query = select(_T.cause, CLIENTS.c.host).select_from(source).where(*failed)
    hosts: dict[int | None, list[str]] = {}
    pairs = which.distinct(connection, query, 2)
    for cause, host in sorted(pairs, key=lambda pair: str(pair[1])):
        if len(hosts.setdefault(cause, [])) < _MAX_HOSTS:
            hosts[cause].append(checked_text(host))
    return hosts


def _cause_text(connection: Connection, cause: int | None) -> str:
    query = select(CAUSES.c.text).where(CAUSES.c.id == cause)
    return checked_text(connection.execute(query).scalar()) or "unknown"


def _example(connection: Connection, task_id: int) -> dict[str, Any]:
    """A task that failed so, and the end of what it printed."""
    last = and_(_A.task == _T.id, _A.number == _T.outcome_attempt)
    query = select(_T.line, _A.err).select_from(TASKS.outerjoin(ATTEMPTS, last))
    row = connection.execute(query.where(_T.id == task_id)).one()
    line, err = bytes(row.line[:_MAX_SHOWN]), bytes(row.err or b"")
    return {"example": task_id, "line": line, "stderr": err}
