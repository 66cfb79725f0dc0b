"""What can be told of a task, and asked for: the fields, by name, with their kinds."""

from enum import Enum


class Kind(Enum):
    """What the values of a field are. The value says what a person may write."""

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
    "ending": Kind.TEXT,
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
"""Those of a try are of the last one that ended. `tag` is `tag.KEY`."""

OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.WHOLE: ("=", "!=", "<", "<=", ">", ">=", "in"),
    Kind.TEXT: ("=", "!=", "~", "!~", "in"),
    Kind.STATE: ("=", "!=", "in"),
    Kind.SIGNAL: ("=", "!=", "in"),
    Kind.DURATION: ("=", "!=", "<", "<=", ">", ">=", "in"),
    Kind.TIME: ("<", "<=", ">", ">="),
    Kind.SIZE: ("=", "!=", "<", "<=", ">", ">=", "in"),
}
