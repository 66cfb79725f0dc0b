"""A condition on an attempt that has just ended, tested in memory.

It means what `--where` means for the task whose last attempt this is, with the same fields as far
as they are known when a task is decided about.
"""

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hypershell.core.ending import Code
from hypershell.core.query.condition import And, Comparison, Condition, Not, Or, parse
from hypershell.core.query.pattern import compiled

if TYPE_CHECKING:
    from hypershell.core.outcome import Outcome
    from hypershell.core.task import Task

_VALUES: dict[str, Callable[["Task", "Outcome"], Any]] = {
    "id": lambda task, _: task.id,
    "line": lambda task, _: task.line,
    "number": lambda task, _: task.number,
    "group": lambda task, _: task.group,
    "priority": lambda task, _: task.priority,
    "attempt": lambda task, _: task.attempt,
    "failures": lambda task, _: task.failures,
    "losses": lambda task, _: task.losses,
    "ending": lambda _, outcome: outcome.ending.word,
    "exit_status": lambda _, outcome: _code(outcome, Code.EXIT_STATUS),
    "signal": lambda _, outcome: _code(outcome, Code.SIGNAL),
    "reason": lambda _, outcome: outcome.reason,
    "duration": lambda _, outcome: outcome.seconds,
    "user": lambda _, outcome: outcome.user_seconds,
    "system": lambda _, outcome: outcome.system_seconds,
    "cpu": lambda _, outcome: outcome.user_seconds + outcome.system_seconds,
    "memory": lambda _, outcome: outcome.peak_kib * 1024 or None,
}

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def checked(text: str) -> str:
    """A condition on an attempt, written out; ValueError."""
    condition = parse(text, 0.0)
    if unknown := sorted(_fields(condition) - _VALUES.keys()):
        known = ", ".join(_VALUES)
        raise ValueError(f"{unknown[0]} is not a field of an attempt; these are {known}")
    return str(condition)


def holds(text: str, task: "Task", outcome: "Outcome") -> bool:
    """Whether a condition that was checked holds for the attempt that ended so.

    `task` has the counts from before that.
    """
    return _holds(_parsed(text), task, outcome)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Condition:
    return parse(text, 0.0)


def _code(outcome: "Outcome", kind: Code) -> int | None:
    return outcome.code if outcome.ending.code_is is kind else None


def _fields(condition: Condition) -> set[str]:
    match condition:
        case Not(term):
            return _fields(term)
        case And(terms) | Or(terms):
            return set().union(*map(_fields, terms))
        case Comparison(field):
            return {field}


def _holds(condition: Condition, task: "Task", outcome: "Outcome") -> bool:
    match condition:
        case Not(term):
            return not _holds(term, task, outcome)
        case And(terms):
            return all(_holds(term, task, outcome) for term in terms)
        case Or(terms):
            return any(_holds(term, task, outcome) for term in terms)
        case Comparison():
            return _compares(condition, _VALUES[condition.field](task, outcome))


def _compares(comparison: Comparison, value: Any) -> bool:
    if value is None:
        return False  # as everywhere: what it does not have
    wanted = [_encoded(each) for each in comparison.values]
    value = _encoded(value)
    match comparison.operator:
        case "~" | "!~":
            found = compiled(str(comparison.values[0]))(value)
            return found is (comparison.operator == "~")
        case "in":
            return value in wanted
        case other:
            return _COMPARE[other](value, wanted[0])


def _encoded(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
