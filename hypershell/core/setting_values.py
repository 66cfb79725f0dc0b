"""The values of settings: how each kind is read of a text, and which are allowed.

What is loaded of a database or comes from a peer is checked by the same rules as what a user gives.
"""

import re
from collections.abc import Callable
from typing import Any

from hypershell.core.units import read_duration, read_whole

MAX_RETRIES = 10**9
MAX_PATH = 4095
"""Bytes in a path (PATH_MAX, without its NUL)."""

MAX_ENVIRONMENT = 64 * 2**10
"""Bytes in the variables that a task is given: half of what Linux allows for a single one."""

OWN_VARIABLES = "TASK_"
"""What the names of variables begin with by which a task finds out about itself."""

CLIENT_CWD = "client"
"""The setting `cwd` of a task that runs in the directory in which its client was started."""

MAX_SECONDS = 10 * 365 * 86400.0
"""The longest time limit: longer than any task runs, and short enough for every clock."""


MAX_DELAY = 3600.0
"""Seconds for which a retry waits at most, where nothing else was said."""


def is_whole(lowest: int, highest: int) -> Callable[[Any], bool]:
    """A check for whole numbers within bounds."""
    return lambda value: type(value) is int and lowest <= value <= highest


def is_time_limit(value: Any) -> bool:
    """Whether this is a number of seconds that a task may run."""
    return type(value) in (int, float) and 0 < value <= MAX_SECONDS


_SHARE = re.compile(r"[1-9]\d{0,5}%", re.ASCII)


def read_time_limit(text: str) -> float | str:
    """A time limit in seconds, or a share of what tasks take: a text such as 300%."""
    return text if _SHARE.fullmatch(text) else read_duration(text)


def is_time_limit_or_share(value: Any) -> bool:
    """Whether this is a time limit, of either kind."""
    return bool(type(value) is str and _SHARE.fullmatch(value)) or is_time_limit(value)


def read_delay(text: str) -> tuple[float, float]:
    """The delay before the first retry, and the longest: SEC or SEC:MAX."""
    first, colon, longest = text.partition(":")
    seconds = read_duration(first)
    return seconds, read_duration(longest) if colon else max(seconds, MAX_DELAY)


def is_delay(value: Any) -> bool:
    """Whether these are two numbers of seconds, the first not above the second."""
    if type(value) is not tuple or len(value) != 2 or not set(map(type, value)) <= {int, float}:
        return False
    return bool(0 <= value[0] <= value[1] <= MAX_SECONDS)


def is_flag(value: Any) -> bool:
    """Whether this is true or false."""
    return type(value) is bool


def is_directory(value: Any) -> bool:
    """Whether a task can be told to run in this directory."""
    if type(value) is not str or "\0" in value or len(value) > MAX_PATH:
        return False
    return value == CLIENT_CWD or value.startswith("/")


def is_environment(value: Any) -> bool:
    """Whether these are variables that a task can be given."""
    return (
        type(value) is tuple
        and list(value) == sorted(dict(value).items())
        and sum(len(name) + len(text) + 2 for name, text in value) <= MAX_ENVIRONMENT
        and all(is_variable(name) and "\0" not in text for name, text in value)
    )


def is_text(value: Any) -> bool:
    """Whether this is text without a NUL character."""
    return type(value) is str and "\0" not in value


def read_condition(text: str) -> str:
    """A condition on an attempt, written out."""
    from hypershell.core.query.attempt import checked

    return checked(text)


def is_condition(value: Any) -> bool:
    """Whether this is one."""
    try:
        return type(value) is str and bool(read_condition(value))
    except ValueError:
        return False


def is_variable(name: str) -> bool:
    """Whether a task can be given a variable of this name."""
    return bool(name) and not name.startswith(OWN_VARIABLES) and not {"=", "\0"} & set(name)


def read_variable(text: str) -> tuple[tuple[str, str], ...]:
    """A variable with its value, of NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError
    return ((name, value),)


MAX_AMOUNT = 10**6
"""The most of a resource, but memory, that a client offers or a task asks for."""

MAX_MEMORY = 2**60
"""Bytes, the same for memory."""

_RESOURCE = re.compile(r"[A-Za-z_][\w-]{0,62}", re.ASCII)
_OWN_RESOURCES = frozenset({"cores", "memory", "gpus"})


def read_amount(text: str) -> tuple[tuple[str, int], ...]:
    """A resource with its amount, of NAME=NUMBER."""
    name, equals, number = text.partition("=")
    if not equals or name in _OWN_RESOURCES:
        raise ValueError
    return ((name, read_whole(number)),)


def are_amounts(value: Any) -> bool:
    """Whether these are amounts of resources, sorted by their names."""
    return (
        type(value) is tuple
        and list(value) == sorted(dict(value).items())
        and len(value) <= 100
        and all(_RESOURCE.fullmatch(name) for name, _ in value)
        and all(type(number) is int and 1 <= number <= MAX_AMOUNT for _, number in value)
    )


def read_factor(text: str) -> float:
    """A factor: 2x, 1.5x or 2."""
    number = text.removesuffix("x")
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", number, re.ASCII):
        raise ValueError
    return float(number)


def load_pairs(value: Any, kind: type) -> Any:
    """Tuples of what JSON made lists of; None of anything else."""
    try:
        pairs = tuple((name, amount) for name, amount in value)
    except (TypeError, ValueError):
        return None
    is_right = all(type(name) is str and type(amount) is kind for name, amount in pairs)
    return pairs if is_right else None


def read_flag(text: str) -> bool | None:
    """True for `yes`, False for `no`."""
    return {"yes": True, "no": False}.get(text)
