"""Which tasks a command means, and how many it changed. Both travel as plain values."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypershell.core.run_name import LAST_RUN, is_run
from hypershell.core.state import FINAL, SHOWN_STATES, TaskState

MAX_IDS = 100_000
"""Ids in one selection."""

_MAX_TAGS = 100
_LARGEST_ID = 2**62
_LARGEST_CAUSE = 2**31 - 1

UNFINISHED = tuple(state for state in SHOWN_STATES if state not in FINAL)
"""The states of tasks that are not final, as people see them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks for which all of these hold; an empty one holds for every task.

    `states` are as people see them. `tags` are keys and values, "" meaning any value; `where` is a
    condition as text, `run` the server_uid of the run that took the tasks on, or LAST_RUN, or
    ALL_RUNS, `cause` the number of a cause of failure.
    """

    ids: tuple[int, ...] = ()
    states: tuple[TaskState, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    where: str = ""
    run: str = ""
    cause: int = 0

    def is_everything(self) -> bool:
        """Whether it names nothing at all."""
        return self == Selection()

    def is_whole_run(self) -> bool:
        """Whether it means all tasks of the last run, which to a server is its own."""
        return self.is_everything() or self == Selection(run=LAST_RUN)

    def pack(self) -> dict[str, Any]:
        """Turn it into plain values."""
        return {
            "ids": list(self.ids),
            "states": [state.value for state in self.states],
            "tags": [list(pair) for pair in self.tags],
            "where": self.where,
            "run": self.run,
            "cause": self.cause,
        }

    @classmethod
    def unpack(cls, packed: Any) -> "Selection":
        """Read plain values, each of which is checked; ValueError."""
        if not isinstance(packed, dict) or set(packed) != set(cls.__slots__):
            raise ValueError("not a selection")
        ids, cause = packed["ids"], packed["cause"]
        if not isinstance(ids, list) or not all(map(_is_id, ids)) or len(ids) > MAX_IDS:
            raise ValueError(f"not a list of at most {MAX_IDS} ids")
        if cause != 0 and not (_is_id(cause) and cause <= _LARGEST_CAUSE):
            raise ValueError("not a cause number")
        where, run = packed["where"], packed["run"]
        if not isinstance(where, str) or not (run == "" or is_run(run)):
            raise ValueError("not a condition or not a run")
        if where:
            from hypershell.core.query.condition import parse

            parse(where, 0.0)
        states, tags = _states(packed["states"]), tags_from(packed["tags"])
        return cls(tuple(ids), states, tags, where, run, cause)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LARGEST_ID


def _states(packed: object) -> tuple[TaskState, ...]:
    words = [state.value for state in SHOWN_STATES]
    if not isinstance(packed, list) or not all(word in words for word in packed):
        raise ValueError("not a list of states")
    return tuple(TaskState(word) for word in packed)


def tags_from(packed: object) -> tuple[tuple[str, str], ...]:
    """Read keys and values of tags from a list of pairs; ValueError. A value may be empty."""
    if not isinstance(packed, list) or len(packed) > _MAX_TAGS:
        raise ValueError(f"not a list of at most {_MAX_TAGS} tags")
    pairs: list[tuple[str, str]] = []
    for pair in packed:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError("a tag is a key and a value")
        pairs.append(checked_tag(pair[0], pair[1]))
    return tuple(pairs)


def checked_tag(key: object, value: object) -> tuple[str, str]:
    """Check that a line may set this tag; ValueError."""
    if not isinstance(key, str) or not re.fullmatch(r"[\w.-]{1,100}", key, re.ASCII):
        raise ValueError(f"a tag key may have letters, digits, `_`, `.` and `-`: {key!r}")
    if not isinstance(value, str) or not re.fullmatch(r"[\w.,@%+/=-]{0,1000}", value, re.ASCII):
        raise ValueError(f"a tag value may have letters, digits and _.,@%+/=- : {value!r}")
    return key, value


class Changed(NamedTuple):
    """How many tasks were changed, how many of those are running, and how many were refused."""

    changed: int
    running: int = 0
    refused: int = 0
