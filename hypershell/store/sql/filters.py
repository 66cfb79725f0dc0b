"""Selections and conditions as SQL: expressions with bound values, the same in both databases.

Each test is true or false and never NULL, so that `not` means what it says: what may be missing
is asked for by EXISTS.
"""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    LargeBinary,
    Text,
    TextClause,
    and_,
    bindparam,
    exists,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from hypershell.core.ending import Code, endings_with
from hypershell.core.query.condition import And, Comparison, Condition, Not, Or, Value, parse
from hypershell.core.query.selection import Selection
from hypershell.core.state import TaskState
from hypershell.store.sql.schema import (
    ATTEMPTS,
    CLIENTS,
    IS_UNSETTLED,
    IS_WAITING,
    RUNS,
    STATE_NUMBERS,
    TAGS,
    TASKS,
)

_MAX_VALUES = 30_000
"""Values that one statement may have; SQLite takes a little more."""

Clause = ColumnElement[bool] | TextClause

_UNSETTLED = frozenset(TaskState) - {TaskState.WAITING, TaskState.SUCCEEDED}

_T, _A = TASKS.c, ATTEMPTS.c


class Matches(FunctionElement[bool]):
    """Whether a pattern is found in bytes, each byte taken for a character."""

    type = Boolean()
    inherit_cache = True
    name = "matches"


@compiles(Matches, "sqlite")
def _match_sqlite(element: Matches, compiler: SQLCompiler, **options: Any) -> str:
    value, pattern = list(element.clauses)
    made = compiler.process(pattern, **options), compiler.process(value, **options)
    return f"bytes_match({made[0]}, {made[1]})"


@compiles(Matches, "postgresql")
def _match_postgresql(element: Matches, compiler: SQLCompiler, **options: Any) -> str:
    value, pattern = list(element.clauses)
    made = compiler.process(value, **options), compiler.process(pattern, **options)
    if not isinstance(value.type, LargeBinary):
        made = f"convert_to({made[0]}, 'UTF8')", made[1]
    return f"(convert_from({made[0]}, 'LATIN1') ~ {made[1]})"


def matching(selection: Selection, now: float | None = None) -> list[Clause]:
    """The clauses over TASKS that hold for the tasks of a selection, and for no others.

    ValueError for a condition that cannot be read, or too many ids that are scattered.
    """
    clauses: list[Clause] = []
    if selection.ids:
        clauses.append(_by_ids(selection.ids))
    if selection.states:
        clauses.extend(in_states(frozenset(selection.states)))
    for key, value in selection.tags:
        clauses.append(_T.id.in_(_tagged(key, TAGS.c.value == value if value else true())))
    if selection.where:
        condition = parse(selection.where, time.time() if now is None else now)
        clauses.extend(_hints(condition))
        clauses.append(as_clause(condition))
    if selection.run:
        clauses.append(_T.run.in_(select(RUNS.c.id).where(RUNS.c.uid == selection.run)))
    if selection.cause:
        # Only what FAILED has a cause.
        clauses += [IS_UNSETTLED, _T.cause == selection.cause]
    return clauses


def _by_ids(ids: tuple[int, ...]) -> ColumnElement[bool]:
    """Ids that follow each other are one range: a million of them are two values."""
    ranges: list[tuple[int, int]] = []
    for task_id in sorted(set(ids)):
        if ranges and ranges[-1][1] == task_id - 1:
            ranges[-1] = (ranges[-1][0], task_id)
        else:
            ranges.append((task_id, task_id))
    single = [first for first, last in ranges if first == last]
    wide = [_T.id.between(first, last) for first, last in ranges if first != last]
    if len(wide) > 500:
        single = [i for first, last in ranges for i in range(first, last + 1)]
        wide = []
    if len(single) > _MAX_VALUES:
        raise ValueError(f"more than {_MAX_VALUES} ids that do not follow each other")
    return or_(*wide, *([_T.id.in_(single)] if single else []))


def in_states(states: frozenset[TaskState]) -> list[Clause]:
    """Clauses that hold for these states, in words by which the partial indexes are found."""
    if states == frozenset(TaskState):
        return []
    if states == {TaskState.WAITING}:
        return [IS_WAITING]
    numbers = sorted(STATE_NUMBERS[state] for state in states)
    clauses: list[Clause] = [_T.state.in_(numbers)]
    if states <= _UNSETTLED:
        clauses.append(IS_UNSETTLED)
    return clauses


def states_of(condition: Condition) -> frozenset[TaskState]:
    """The states outside of which a condition cannot hold."""
    every = frozenset(TaskState)
    match condition:
        case Comparison("state", operator, values):
            named = frozenset(TaskState(value) for value in values)
            return every - named if operator == "!=" else named
        case Comparison("cause"):
            return frozenset({TaskState.FAILED})
        case And(submit_options):
            return every.intersection(*map(states_of, submit_options))
        case Or(submit_options):
            return frozenset().union(*map(states_of, submit_options))
    return every


def _hints(condition: Condition) -> list[Clause]:
    """What follows from a condition, in the words of the partial indexes."""
    states = states_of(condition)
    if states == {TaskState.WAITING}:
        return [IS_WAITING]
    return [IS_UNSETTLED] if states <= _UNSETTLED else []


def as_clause(condition: Condition) -> ColumnElement[bool]:
    """A condition over TASKS."""
    match condition:
        case Not(term):
            return not_(as_clause(term))
        case And(submit_options):
            return and_(*map(as_clause, submit_options))
        case Or(submit_options):
            return or_(*map(as_clause, submit_options))
        case Comparison():
            return _test(condition)


def _test(test: Comparison) -> ColumnElement[bool]:
    if test.field == "tag":
        holds = _compare(TAGS.c.value, test, Text())
        return _T.id.in_(_tagged(test.key, holds))
    if test.field == "run":
        return _T.run.in_(select(RUNS.c.id).where(_compare(RUNS.c.uid, test, Text())))
    if test.field == "cause":
        return and_(_T.cause.is_not(None), _compare(_T.cause, test, BigInteger()))
    if test.field in _OF_TASK:
        column, type_ = _OF_TASK[test.field]
        return _compare(column, test, type_)
    column, type_, known = _OF_ATTEMPT[test.field]
    query = exists().where(_A.task == _T.id, _A.number == _T.outcome_attempt, known)
    if test.field == "host":
        query = query.where(CLIENTS.c.id == _A.client)
    return query.where(_compare(column, test, type_)).correlate(TASKS)


def _tagged(key: str, holds: ColumnElement[bool]) -> Any:
    return select(TAGS.c.task).where(TAGS.c.key == key, holds)


_OF_TASK: dict[str, tuple[ColumnElement[Any], Any]] = {
    "id": (_T.id, BigInteger()),
    "line": (_T.line, LargeBinary()),
    "state": (_T.state, BigInteger()),
    "attempt": (_T.attempt, BigInteger()),
    "failures": (_T.failures, BigInteger()),
    "losses": (_T.losses, BigInteger()),
    "group": (_T.group, BigInteger()),
    "priority": (-_T.rank, BigInteger()),
    "number": (_T.number, BigInteger()),
    "added": (_T.added_at, Double()),
}

_STARTED = _A.started_at > 0
_OF_ATTEMPT: dict[str, tuple[ColumnElement[Any], Any, ColumnElement[bool]]] = {
    "exit_status": (_A.code, BigInteger(), _A.ending.in_(endings_with(Code.EXIT_STATUS))),
    "signal": (_A.code, BigInteger(), _A.ending.in_(endings_with(Code.SIGNAL))),
    "duration": (_A.seconds, Double(), _STARTED),
    "host": (CLIENTS.c.host, Text(), true()),
    "client": (_A.client, Text(), _A.client.is_not(None)),
    "slot": (_A.slot, BigInteger(), true()),
    "pid": (_A.pid, BigInteger(), _A.pid > 0),
    "reason": (_A.reason, Text(), _A.reason.is_not(None)),
    "started": (_A.started_at, Double(), _STARTED),
    "ended": (_A.started_at + _A.seconds, Double(), _STARTED),
    "cpu": (_A.user_seconds + _A.system_seconds, Double(), _STARTED),
    "user": (_A.user_seconds, Double(), _STARTED),
    "system": (_A.system_seconds, Double(), _STARTED),
    "memory": (_A.peak_kib * 1024, BigInteger(), _A.peak_kib > 0),
}
"""Column, type of the values, and when a task has it: of the last attempt that is recorded."""

_COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "~": lambda column, value: Matches(column, value),
    "!~": lambda column, value: not_(Matches(column, value)),
}


def _compare(column: ColumnElement[Any], test: Comparison, type_: Any) -> ColumnElement[bool]:
    if test.operator in ("~", "!~"):
        # Byte by byte: what two bytes say in UTF-8 is two characters here.
        pattern = str(test.values[0]).encode("utf-8", "surrogateescape").decode("latin-1")
        return _COMPARE[test.operator](column, bindparam(None, pattern, type_=Text(), unique=True))
    values = [_given(test.field, value, type_) for value in test.values]
    if test.operator == "in":
        return column.in_(bindparam(None, values, type_=type_, unique=True, expanding=True))
    return _COMPARE[test.operator](column, bindparam(None, values[0], type_=type_, unique=True))


def _given(field: str, value: Value, type_: Any) -> Any:
    """A value as its column has it."""
    if field == "state":
        return STATE_NUMBERS[TaskState(value)]
    if isinstance(type_, LargeBinary):
        return str(value).encode("utf-8", "surrogateescape")
    if isinstance(type_, Double):
        return float(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value
