"""The fields of a task that can be shown and searched, by name, with their kinds."""

from enum import Enum


class Kind(Enum):
    """What kind of values a field has; `value` is how messages name it."""

    WHOLE = "a whole number"
    TEXT = "text"
    STATE = "a state"
    SIGNAL = "a signal"
    DURATION = "a duration"
    TIME = "a time"
    SIZE = "a size"


FIELDS: dict[str, Kind] = {
    "id": Kind.WHOLE,
    "line": Kind.TEXT,
    "state": Kind.STATE,
    "exit_status": Kind.WHOLE,
    "signal": Kind.SIGNAL,
    "duration": Kind.DURATION,
    "attempt": Kind.WHOLE,
    "failures": Kind.WHOLE,
    "losses": Kind.WHOLE,
    "host": Kind.TEXT,
    "client": Kind.TEXT,
    "slot": Kind.WHOLE,
    "pid": Kind.WHOLE,
    "group": Kind.WHOLE,
    "priority": Kind.WHOLE,
    "run": Kind.TEXT,
    "number": Kind.WHOLE,
    "cause": Kind.WHOLE,
    "reason": Kind.TEXT,
    "added": Kind.TIME,
    "started": Kind.TIME,
    "ended": Kind.TIME,
    "cpu": Kind.DURATION,
    "user": Kind.DURATION,
    "system": Kind.DURATION,
    "memory": Kind.SIZE,
    "tag": Kind.TEXT,
}
"""Fields of an attempt are those of the last one that ended. `tag` is written `tag.KEY`."""

OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.WHOLE: ("=", "!=", "<", "<=", ">", ">=", "in"),
    Kind.TEXT: ("=", "!=", "~", "!~", "in"),
    Kind.STATE: ("=", "!=", "in"),
    Kind.SIGNAL: ("=", "!=", "in"),
    Kind.DURATION: ("=", "!=", "<", "<=", ">", ">=", "in"),
    Kind.TIME: ("<", "<=", ">", ">="),
    Kind.SIZE: ("=", "!=", "<", "<=", ">", ">=", "in"),
}
