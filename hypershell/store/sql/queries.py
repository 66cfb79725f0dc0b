"""What people ask of a task database: counts, rows, one task, why tasks failed. It only reads."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from hypershell.core.ending import Code, Ending
from hypershell.core.query.fields import FIELDS
from hypershell.core.query.selection import UNFINISHED, Selection
from hypershell.core.state import TaskState
from hypershell.store.sql.engine import Database
from hypershell.store.sql.filters import Clause, matching
from hypershell.store.sql.schema import (
    ATTEMPTS,
    CAUSES,
    CLIENTS,
    IS_UNSETTLED,
    IS_WAITING,
    OUTPUTS,
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


_T, _A = TASKS.c, ATTEMPTS.c
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

NAMES = (*(name for name in FIELDS if name != "tag"), "tags")
"""The fields that rows may have; beside them each tag, as `tag.KEY`."""


class Queries:
    """Each answer is of one moment. Plain values throughout; DatabaseUnusable; ValueError for a
    condition that cannot be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, selection: Selection) -> int:
        """How many tasks there are in a selection."""
        query = select(func.count()).select_from(TASKS)
        with self._database.reading() as connection:
            return sum(int(connection.execute(q).scalar() or 0) for q in _parts(query, selection))

    def rows(
        self, selection: Selection, fields: Sequence[str], after: int = 0, limit: int = MAX_ROWS
    ) -> tuple[list[list[Any]], int]:
        """The values of these fields of the tasks behind an id, by id; and the last id.

        There may be more of them unless that is 0. Times are seconds since the epoch, sizes bytes;
        what a task does not have is None.
        """
        limit = min(limit, MAX_ROWS)
        query = _row_query(fields, _needs_attempt(fields)).where(_T.id > after).order_by(_T.id)
        found: list[list[Any]] = []
        size, last = 0, after
        with self._database.reading() as connection:
            limited = query.where(*matching(selection)).limit(limit)
            with connection.execute(limited.execution_options(yield_per=500)) as rows:
                for row in rows:
                    facts = _facts(row)
                    found.append([_value(facts, name) for name in fields])
                    last = row.id
                    size += len(facts.get("line") or b"") + len(row.tags or "")
                    if size >= _MAX_BYTES:
                        return found, last
        return found, last if len(found) == limit else 0

    def task(self, task_id: int) -> dict[str, Any] | None:
        """All of a task, with its attempts and, if it was captured, what it printed."""
        names = [name for name in NAMES if name != "tag"]
        with self._database.reading() as connection:
            row = connection.execute(_row_query(names, True).where(_T.id == task_id)).one_or_none()
            if row is None:
                return None
            facts = _facts(row)
            told = {name: _value(facts, name) for name in names}
            told["attempts"] = _attempts(connection, task_id)
            told["output"] = _output(connection, task_id)
        return told

    def output(self, task_id: int) -> list[bytes] | None:
        """What a captured task printed to its standard output and error; None if it is not here."""
        with self._database.reading() as connection:
            return _output(connection, task_id)

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """The FAILED tasks of a selection by cause, the most frequent first."""
        failed = [IS_UNSETTLED, _T.state == _FAILED, *matching(selection)]
        counted = select(_T.cause, func.count().label("number"), func.max(_T.id).label("example"))
        with self._database.reading() as connection:
            rows = connection.execute(counted.where(*failed).group_by(_T.cause)).all()
            hosts = _hosts(connection, failed)
            found = [
                {
                    "cause": row.cause or 0,
                    "count": row.number,
                    "text": _cause_text(connection, row.cause),
                    "hosts": hosts.get(row.cause, []),
                    **_example(connection, row.example),
                }
                for row in rows
            ]
        return sorted(found, key=lambda each: (-each["count"], each["cause"]))

    def unfinished(self, selection: Selection, limit: int) -> list[int]:
        """Ids of tasks of a selection that are not final; the first ones."""
        found: list[int] = []
        with self._database.reading() as connection:
            for part in _unfinished_parts():
                query = select(_T.id).where(*part, *matching(selection)).limit(limit)
                found += [row[0] for row in connection.execute(query)]
        return sorted(found)[:limit]

    def outcome(self, selection: Selection) -> tuple[int, int]:
        """How many tasks of a selection are not final, and how many FAILED or were CANCELLED."""
        return self._outcome(matching(selection))

    def last_run(self) -> tuple[int, int]:
        """The same of what the last run saw to."""
        return self._outcome([_T.scope == select(func.max(RUNS.c.id)).scalar_subquery()])

    def _outcome(self, clauses: list[Clause]) -> tuple[int, int]:
        query = select(_T.state, func.count()).group_by(_T.state)
        numbers: dict[TaskState, int] = {}
        with self._database.reading() as connection:
            for part in ([IS_WAITING], [IS_UNSETTLED]):
                for state, number in connection.execute(query.where(*part, *clauses)):
                    numbers[STATES[state]] = number
        unfinished = sum(numbers.get(state, 0) for state in UNFINISHED)
        return unfinished, sum(numbers.values()) - unfinished


def check_fields(fields: object) -> list[str]:
    """The names of fields that rows can have; ValueError."""
    if not isinstance(fields, list) or not fields or len(fields) > 100:
        raise ValueError("not a list of fields")
    for name in fields:
        if not isinstance(name, str) or (name not in NAMES and not name.startswith("tag.")):
            raise ValueError(f"there is no field {name}: {', '.join(NAMES)}, tag.KEY")
    return fields


def _parts(query: Select[Any], selection: Selection) -> list[Select[Any]]:
    """The query in parts that exclude each other, each of which finds its index."""
    if set(selection.states) == set(UNFINISHED):
        bare = Selection(
            selection.ids, (), selection.tags, selection.where, selection.run, selection.cause
        )
        return [query.where(*part, *matching(bare)) for part in _unfinished_parts()]
    return [query.where(*matching(selection))]


def _unfinished_parts() -> list[list[Clause]]:
    others = [STATE_NUMBERS[s] for s in UNFINISHED if s is not TaskState.WAITING]
    return [[IS_WAITING], [IS_UNSETTLED, _T.state.in_(others)]]


def _needs_attempt(fields: Sequence[str]) -> bool:
    return any(name not in _TASK_COLUMNS and name != "run" for name in fields if "." not in name)


def _row_query(fields: Sequence[str], with_attempt: bool) -> Select[Any]:
    columns = [column.label(name) for name, column in _TASK_COLUMNS.items() if name != "line"]
    if "line" in fields:
        columns.append(_T.line.label("line"))
    source: Any = TASKS
    if with_attempt:
        columns += [column.label(f"a_{name}") for name, column in _ATTEMPT_COLUMNS.items()]
        last = and_(_A.task == _T.id, _A.number == _T.outcome_attempt)
        source = source.outerjoin(ATTEMPTS, last).outerjoin(CLIENTS, CLIENTS.c.id == _A.client)
    if "run" in fields:
        columns.append(RUNS.c.uid.label("run"))
        source = source.outerjoin(RUNS, RUNS.c.id == _T.run)
    return select(*columns).select_from(source)


def _facts(row: Row[Any]) -> dict[str, Any]:
    """A row by the names of FIELDS; what was not asked for is not in it."""
    facts = {name: value for name, value in row._mapping.items() if not name.startswith("a_")}
    facts["state"] = STATES[facts["state"]].value
    facts["tags"] = json.loads(facts["tags"]) if facts["tags"] else {}
    if facts.get("line") is not None:
        facts["line"] = bytes(facts["line"])
    if row._mapping.get("a_ending") is not None:
        tried = {n[2:]: value for n, value in row._mapping.items() if n.startswith("a_")}
        facts |= _tried(tried)
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
        tried = {name: row._mapping[name] for name in _ATTEMPT_COLUMNS}
        found.append({"number": row.number, **_tried(tried), "stderr": bytes(row.err or b"")})
    return found


def _output(connection: Connection, task_id: int) -> list[bytes] | None:
    query = select(OUTPUTS.c.out, OUTPUTS.c.err).where(OUTPUTS.c.task == task_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else [bytes(row.out), bytes(row.err)]


def _hosts(connection: Connection, failed: list[Clause]) -> dict[int | None, list[str]]:
    """On which hosts the tasks of each cause failed last, the first ones by name."""
    last = and_(_A.task == _T.id, _A.number == _T.outcome_attempt)
    source = TASKS.join(ATTEMPTS, last).join(CLIENTS, CLIENTS.c.id == _A.client)
    query = select(_T.cause, CLIENTS.c.host).select_from(source).where(*failed).distinct()
    hosts: dict[int | None, list[str]] = {}
    for cause, host in sorted(connection.execute(query).all(), key=lambda row: str(row[1])):
        if len(hosts.setdefault(cause, [])) < _MAX_HOSTS:
            hosts[cause].append(host)
    return hosts


def _cause_text(connection: Connection, cause: int | None) -> str:
    query = select(CAUSES.c.text).where(CAUSES.c.id == cause)
    return str(connection.execute(query).scalar() or "unknown")


def _example(connection: Connection, task_id: int) -> dict[str, Any]:
    """A task that failed so, and the end of what it printed."""
    last = and_(_A.task == _T.id, _A.number == _T.outcome_attempt)
    query = select(_T.line, _A.err).select_from(TASKS.outerjoin(ATTEMPTS, last))
    row = connection.execute(query.where(_T.id == task_id)).one()
    line, err = bytes(row.line[:_MAX_SHOWN]), bytes(row.err or b"")
    return {"example": task_id, "line": line, "stderr": err}
