"""Selections and conditions as SQL expressions with bound values; `row_filter.py` uses them.

Each comparison is true or false and never NULL, so `not` means what it says: what a task may not
have is asked for by EXISTS. Only SQLite can search for patterns; `at_most` is for PostgreSQL.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    LargeBinary,
    Select,
    Text,
    TextClause,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from hypershell.core.ending import Code, Ending, endings_with
from hypershell.core.query.condition import And, Comparison, Condition, Not, Or, Value
from hypershell.core.query.selection import Selection
from hypershell.core.run_name import ALL_RUNS, LAST_RUN
from hypershell.core.state import TaskState, meant_by
from hypershell.store.sql.schema import (
    ATTEMPTS,
    CLIENTS,
    IS_UNSETTLED,
    IS_WAITING,
    RUNNING,
    RUNNING_NUMBER,
    RUNS,
    STARTS,
    STATE_NUMBERS,
    TAGS,
    TASKS,
)

_MAX_VALUES = 30_000
"""Values that one statement may have; SQLite takes a little more."""

Clause = ColumnElement[bool] | TextClause

_UNSETTLED = frozenset(TaskState) - {TaskState.WAITING, TaskState.SUCCEEDED}

_T, _A, _R = TASKS.c, ATTEMPTS.c, RUNNING.c


PATTERN_OPERATORS = {"~": True, "!~": False}
"""Operators that search for a pattern, and whether it is to be found."""


def without_condition(selection: Selection) -> list[Clause]:
    """The clauses over TASKS that hold for the tasks of a selection, its condition aside.

    ValueError for too many ids that are scattered.
    """
    clauses: list[Clause] = []
    if selection.ids:
        clauses.append(_by_ids(selection.ids))
    if selection.states:
        clauses.extend(in_states(states_meant(selection.states)))
    for key, value in selection.tags:
        clauses.append(_T.id.in_(_tagged(key, TAGS.c.value == value if value else true())))
    if selection.run == LAST_RUN:
        clauses.append(in_last_run())
    elif selection.run not in ("", ALL_RUNS):
        named = runs_named(selection.run)
        clauses.append(or_(_T.run.in_(named), _T.scope.in_(named)))
    if selection.cause:
        # Only what FAILED has a cause.
        clauses += [IS_UNSETTLED, _T.cause == selection.cause]
    return clauses


def in_last_run() -> ColumnElement[bool]:
    """The tasks that the newest start took on, and those that were submitted since for the next.

    Without any start, all that wait for one. What was submitted before, and was left alone by that
    start, belongs to no run.
    """
    last_id = func.coalesce(_of_newest(STARTS.c.last_id), 0)
    return or_(_T.scope == newest_run(), and_(_T.scope == 0, _T.id > last_id))


def newest_run() -> ColumnElement[int]:
    """The run that the newest start works on, or worked on; 0, of what waits, if none did."""
    return func.coalesce(_of_newest(STARTS.c.run), 0)


def _of_newest(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return select(column).order_by(STARTS.c.number.desc()).limit(1).scalar_subquery()


def runs_named(uid: str) -> Select[tuple[int]]:
    """The runs on which a server of this uid worked."""
    return select(STARTS.c.run).where(STARTS.c.uid == uid)


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
        raise ValueError(f"more than {_MAX_VALUES} ids that are not consecutive")
    return or_(*wide, *([_T.id.in_(single)] if single else []))


def states_meant(shown: Iterable[TaskState]) -> frozenset[TaskState]:
    """The states that a task has where people see one of these."""
    return frozenset().union(*map(meant_by, shown))


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
            named = states_meant(TaskState(value) for value in values)
            return every - named if operator == "!=" else named
        case Comparison("cause"):
            return frozenset({TaskState.FAILED})
        case And(terms):
            return every.intersection(*map(states_of, terms))
        case Or(terms):
            return frozenset().union(*map(states_of, terms))
    return every


def hints(condition: Condition) -> list[Clause]:
    """What follows from a condition, in the words of the partial indexes."""
    states = states_of(condition)
    if states == {TaskState.WAITING}:
        return [IS_WAITING]
    return [IS_UNSETTLED] if states <= _UNSETTLED else []


def has_pattern(condition: Condition) -> bool:
    """Whether it searches for a pattern."""
    match condition:
        case Not(term):
            return has_pattern(term)
        case And(terms) | Or(terms):
            return any(map(has_pattern, terms))
        case Comparison():
            return condition.operator in PATTERN_OPERATORS


def as_clause(condition: Condition) -> ColumnElement[bool]:
    """A condition over TASKS. Only SQLite can take one that has a pattern."""
    return _clause(condition, None)


def at_most(condition: Condition) -> ColumnElement[bool]:
    """A clause without patterns that holds wherever a condition does, and perhaps elsewhere."""
    return _clause(condition, True)


def _clause(condition: Condition, patterns: bool | None) -> ColumnElement[bool]:
    """A condition; unless `patterns` is None, comparisons with patterns count as that value."""
    match condition:
        case Not(term):
            # To hold at most too often, the whole needs a term that holds at most too rarely.
            return not_(_clause(term, None if patterns is None else not patterns))
        case And(terms):
            return and_(*(_clause(term, patterns) for term in terms))
        case Or(terms):
            return or_(*(_clause(term, patterns) for term in terms))
        case Comparison():
            if patterns is None or not has_pattern(condition):
                return _compared(condition)
            return true() if patterns else false()


def _compared(comparison: Comparison) -> ColumnElement[bool]:
    if comparison.field == "tag":
        holds = _compare(TAGS.c.value, comparison, Text())
        return _T.id.in_(_tagged(comparison.key, holds))
    if comparison.field == "run":
        return _T.run.in_(select(RUNS.c.id).where(_compare(RUNS.c.uid, comparison, Text())))
    if comparison.field == "state":
        named = states_meant(TaskState(value) for value in comparison.values)
        numbers = sorted(STATE_NUMBERS[state] for state in named)
        return _T.state.not_in(numbers) if comparison.operator == "!=" else _T.state.in_(numbers)
    if comparison.field == "cause":
        return and_(_T.cause.is_not(None), _compare(_T.cause, comparison, BigInteger()))
    if comparison.field in _OF_TASK:
        column, type_ = _OF_TASK[comparison.field]
        return _compare(column, comparison, type_)
    column, type_, known = _OF_ATTEMPT[comparison.field]
    query = exists().where(*_last_attempt(comparison.field), known)
    ended = query.where(_compare(column, comparison, type_)).correlate(TASKS)
    if comparison.field not in _OF_RUNNING:
        return ended
    column, known = _OF_RUNNING[comparison.field]
    query = exists().where(*_running(comparison.field), known)
    return or_(ended, query.where(_compare(column, comparison, type_)).correlate(TASKS))


def text_of(comparison: Comparison) -> ColumnElement[Any]:
    """The text, other than the line, that is compared; NULL for a task that does not have it."""
    if comparison.field == "tag":
        query = select(TAGS.c.value).where(TAGS.c.key == comparison.key, TAGS.c.task == _T.id)
    elif comparison.field == "run":
        query = select(RUNS.c.uid).where(RUNS.c.id == _T.run)
    else:
        column, _, known = _OF_ATTEMPT[comparison.field]
        query = select(column).where(*_last_attempt(comparison.field), known)
        if comparison.field in _OF_RUNNING:
            return func.coalesce(_first_of(query), _running_text(comparison.field))
    return _first_of(query)


def _running_text(field: str) -> ColumnElement[Any]:
    column, known = _OF_RUNNING[field]
    return _first_of(select(column).where(*_running(field), known))


def _first_of(query: Select[Any]) -> ColumnElement[Any]:
    return query.correlate(TASKS).limit(1).scalar_subquery()


def _last_attempt(field: str) -> list[ColumnElement[bool]]:
    """Clauses that join the last recorded attempt of a task, and for a host its client.

    A task that runs is in another attempt, which has not ended.
    """
    is_last = [_T.state != RUNNING_NUMBER, _A.task == _T.id, _A.number == _T.outcome_attempt]
    return [*is_last, CLIENTS.c.id == _A.client] if field == "host" else is_last


def _running(field: str) -> list[ColumnElement[bool]]:
    """Clauses that join where a task runs, and for a host its client."""
    runs = [_T.state == RUNNING_NUMBER, _R.task == _T.id]
    return [*runs, CLIENTS.c.id == _R.client] if field == "host" else runs


def _tagged(key: str, holds: ColumnElement[bool]) -> Any:
    return select(TAGS.c.task).where(TAGS.c.key == key, holds)


_OF_TASK: dict[str, tuple[ColumnElement[Any], Any]] = {
    "id": (_T.id, BigInteger()),
    "line": (_T.line, LargeBinary()),
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
    "ending": (
        case({int(ending): ending.word for ending in Ending}, value=_A.ending, else_=""),
        Text(),
        true(),
    ),
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

_OF_RUNNING: dict[str, tuple[ColumnElement[Any], ColumnElement[bool]]] = {
    "host": (CLIENTS.c.host, true()),
    "client": (_R.client, true()),
    "slot": (_R.slot, _R.pid > 0),
    "pid": (_R.pid, _R.pid > 0),
    "started": (_R.started_at, _R.started_at > 0),
}
"""Column, and when a task that runs has it; of all else there is nothing before it has ended."""

_COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "~": lambda column, pattern: func.regex_matches(pattern, column, type_=Boolean()),
    "!~": lambda column, pattern: not_(func.regex_matches(pattern, column, type_=Boolean())),
}


def _compare(column: ColumnElement[Any], comparison: Comparison, type_: Any) -> ColumnElement[bool]:
    if comparison.operator in PATTERN_OPERATORS:
        type_ = LargeBinary()
    compare = _COMPARE.get(comparison.operator)
    values = [_given(comparison.field, value, type_) for value in comparison.values]
    if compare is None:
        return column.in_(bindparam(None, values, type_=type_, unique=True, expanding=True))
    return compare(column, bindparam(None, values[0], type_=type_, unique=True))


def _given(field: str, value: Value, type_: Any) -> Any:
    """A value in the form that its column has."""
    if isinstance(type_, LargeBinary):
        return str(value).encode("utf-8", "surrogateescape")
    if isinstance(type_, Double):
        return float(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value
