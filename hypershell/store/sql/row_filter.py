"""Finds the tasks of a selection, and counts them, in either database.

RE2 decides what a pattern matches. SQLite calls it (`engine.py`), so clauses say everything there.
PostgreSQL cannot: there the clauses find every task for which the condition may hold, and rows are
streamed to this process, which tests the condition on each. SQL still answers each part of the
condition that has no pattern; only the values to be searched travel.

At most one page of rows is in memory, and at most one long line.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, func, null, select

from hypershell.core.errors import SelectionUnknown
from hypershell.core.query.condition import And, Comparison, Condition, Not, Or, parse
from hypershell.core.query.pattern import compiled
from hypershell.core.query.selection import Selection
from hypershell.core.run_name import ALL_RUNS, LAST_RUN
from hypershell.runtime import clock
from hypershell.store.sql.filters import (
    PATTERN_OPERATORS,
    Clause,
    as_clause,
    at_most,
    has_pattern,
    hints,
    runs_named,
    text_of,
    without_condition,
)
from hypershell.store.sql.schema import TASKS

_PAGE = 200
_LONG = 2**16
"""Lines longer than this many bytes are read one at a time."""

_T = TASKS.c
_SHORT_LINE = case((func.length(_T.line) <= _LONG, _T.line))
_NO_LINE = null()
_ID, _LINE = 0, 1
"""Where the values for a test have the id and, if it is searched, the line of a task."""

Test = Callable[[Sequence[Any]], bool]
"""Says whether a condition holds for a row, given the values that the row has for it."""


class Group(NamedTuple):
    """Tasks that have something in common: how many, and the highest id among them."""

    number: int
    last_id: int


@dataclass(frozen=True, slots=True)
class RowFilter:
    """The tasks of a selection. `clauses` find all of them; where there is a `test`, only the rows
    for whose `values` it holds are of the selection."""

    clauses: tuple[Clause, ...]
    values: tuple[ColumnElement[Any], ...] = ()
    test: Test | None = None

    def rows(self, connection: Connection, query: Select[Any]) -> Generator[Any, None, None]:
        """The rows of a query over TASKS, streamed; close it where not all are read.

        Columns may follow those of the query.
        """
        query = query.where(*self.clauses)
        if self.test is not None:
            query = query.add_columns(*(v.label(f"_{n}") for n, v in enumerate(self.values)))
        # Of the statement alone: set for the connection it would go on to all that follow.
        with connection.execute(query, execution_options={"yield_per": _PAGE}) as found:
            for row in found:
                if self.test is None or self.test(self._tested(connection, row)):
                    yield row

    def _tested(self, connection: Connection, row: Sequence[Any]) -> Sequence[Any]:
        """The values for the test; a long line is read now."""
        values = row[-len(self.values) :]
        if self.values[_LINE] is not _SHORT_LINE or values[_LINE] is not None:
            return values
        query = select(_T.line).where(_T.id == values[_ID])
        return (values[_ID], connection.execute(query).scalar_one(), *values[2:])

    def count(self, connection: Connection, *more: Clause) -> int:
        """How many tasks there are for which more clauses hold."""
        if self.test is None:
            query = select(func.count()).select_from(TASKS).where(*more, *self.clauses)
            return int(connection.execute(query).scalar_one())
        return sum(1 for _ in self.rows(connection, select(_T.id).where(*more)))

    def groups(
        self, connection: Connection, key: ColumnElement[Any], *more: Clause
    ) -> dict[Any, Group]:
        """Group the tasks for which more clauses hold by the value of a column of TASKS."""
        if self.test is None:
            counted = select(key, func.count(), func.max(_T.id)).where(*more, *self.clauses)
            found = connection.execute(counted.group_by(key))
            return {value: Group(number, last) for value, number, last in found}
        groups: dict[Any, Group] = {}
        for row in self.rows(connection, select(key, _T.id).where(*more)):
            number, last = groups.get(row[0], (0, 0))
            groups[row[0]] = Group(number + 1, max(last, row[1]))
        return groups

    def distinct(self, connection: Connection, query: Select[Any], width: int) -> set[Any]:
        """What a query over TASKS finds in its `width` columns, each combination once."""
        if self.test is None:
            query = query.distinct()
        return {tuple(row[:width]) for row in self.rows(connection, query)}

    def ids(self, connection: Connection, limit: int, *more: Clause) -> list[int]:
        """Up to `limit` ids of tasks for which more clauses hold, in no order."""
        query = select(_T.id).where(*more)
        if self.test is None:
            query = query.limit(limit)
        with closing(self.rows(connection, query)) as rows:
            return [row[0] for row in islice(rows, limit)]


def check_run(connection: Connection, selection: Selection) -> None:
    """SelectionUnknown if the run that a selection names does not exist."""
    if selection.run not in ("", ALL_RUNS, LAST_RUN):
        query = runs_named(selection.run).limit(1)
        if connection.execute(query).first() is None:
            raise SelectionUnknown(what=f"run {selection.run}")


def row_filter(selection: Selection, dialect: str, now: float | None = None) -> RowFilter:
    """The filter for a selection, for a database of this dialect.

    ValueError for a condition that cannot be read, or too many ids that are scattered.
    """
    clauses = without_condition(selection)
    if not selection.where:
        return RowFilter(tuple(clauses))
    condition = parse(selection.where, clock.wall() if now is None else now)
    clauses += hints(condition)
    if dialect == "sqlite" or not has_pattern(condition):
        return RowFilter((*clauses, as_clause(condition)))
    values: list[ColumnElement[Any]] = [_T.id, _NO_LINE]
    test = _test(_undecided(condition), values)
    return RowFilter((*clauses, at_most(condition)), tuple(values), test)


def _undecided(condition: Condition) -> Condition:
    """The part of a condition that `at_most` does not decide."""
    if isinstance(condition, And):
        return And(tuple(term for term in condition.terms if has_pattern(term)))
    return condition


def _test(condition: Condition, values: list[ColumnElement[Any]]) -> Test:
    """The test for a condition; appends the columns that it reads to `values`."""
    if not has_pattern(condition):
        n = len(values)
        values.append(as_clause(condition))
        return lambda row: bool(row[n])
    match condition:
        case Not(term):
            inner = _test(term, values)
            return lambda row: not inner(row)
        case And(terms):
            tests = [_test(term, values) for term in terms]
            return lambda row: all(test(row) for test in tests)
        case Or(terms):
            tests = [_test(term, values) for term in terms]
            return lambda row: any(test(row) for test in tests)
        case Comparison():
            return _pattern_test(condition, values)


def _pattern_test(comparison: Comparison, values: list[ColumnElement[Any]]) -> Test:
    n = _LINE
    if comparison.field == "line":
        values[n] = _SHORT_LINE
    else:
        n = len(values)
        values.append(text_of(comparison))
    matches = compiled(str(comparison.values[0]))
    expected = PATTERN_OPERATORS[comparison.operator]

    def test(row: Sequence[Any]) -> bool:
        value = row[n]
        if value is None:
            return False  # a task that has no such value, whatever the operator
        data = value.encode() if isinstance(value, str) else bytes(value)
        return matches(data) is expected

    return test
