"""Conditions on tasks, as in `exit_status >= 3 and not (line ~ "seed [0-9]+" or tag.k = v)`.

A test of something that a task does not have, such as the exit status of one that waits, is
false, whatever its operator; `not` turns that round. A condition written out again means the same
wherever and whenever it is read: its times are then seconds since the epoch.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from hypershell.core.query.fields import FIELDS, OPERATORS, Kind
from hypershell.core.state import TaskState
from hypershell.core.units import (
    read_duration,
    read_signal,
    read_size,
    read_time,
    read_whole,
)

LONGEST = 10_000
"""Characters in a condition."""

_MAX_TESTS = 200
_MAX_DEPTH = 40
_MAX_PATTERN = 1000

Value = int | float | str


class ConditionError(ValueError):
    """A condition that cannot be read; says where and what would be right."""

    def __init__(self, text: str, place: int, what: str) -> None:
        rest = text[place:].strip()
        shown = rest if len(rest) <= 24 else rest[:24] + "..."
        where = f"at character {place + 1} ({shown})" if rest else "at the end"
        super().__init__(f"{where}: {what}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field compared. `key` is that of a tag. Text stands as UTF-8 with surrogates for the
    rest; a state is its word, sizes are bytes, times and durations seconds."""

    field: str
    operator: str
    values: tuple[Value, ...]
    key: str = ""

    def __str__(self) -> str:
        name = f"tag.{self.key}" if self.key else self.field
        written = [_written(FIELDS[self.field], value) for value in self.values]
        value = f"({', '.join(written)})" if self.operator == "in" else written[0]
        return f"{name} {self.operator} {value}"


@dataclass(frozen=True, slots=True)
class Not:
    """What the other is not."""

    term: "Condition"

    def __str__(self) -> str:
        return f"not ({self.term})"


@dataclass(frozen=True, slots=True)
class And:
    """Each of them."""

    submit_options: tuple["Condition", ...]

    def __str__(self) -> str:
        return " and ".join(f"({term})" for term in self.submit_options)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them."""

    submit_options: tuple["Condition", ...]

    def __str__(self) -> str:
        return " or ".join(f"({term})" for term in self.submit_options)


Condition = Comparison | Not | And | Or


def parse(text: str, now: float) -> Condition:
    """The condition that a text says; ConditionError. `now` is what `2h ago` counts from."""
    if len(text) > LONGEST:
        raise ConditionError(text, LONGEST, f"a condition has at most {LONGEST} characters")
    return _Parser(text, now).whole()


# What `[[` may mean one day is no news for whoever gave a pattern.
warnings.filterwarnings("ignore", "Possible", FutureWarning)

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[\w.-]+)?", re.ASCII)
_OPERATOR = re.compile(r"!=|<=|>=|==|!~|=|<|>|~|in\b", re.IGNORECASE)
_BARE = re.compile(r"[^\s(),'\"]+")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)


class _Parser:
    """Reads a text from left to right; `place` is where it is."""

    def __init__(self, text: str, now: float) -> None:
        self.text = text
        self.now = now
        self.place = 0
        self.tests = 0

    def whole(self) -> Condition:
        condition = self._some(0)
        self._skip()
        if self.place < len(self.text):
            raise self._error("expected `and`, `or` or the end")
        return condition

    def _some(self, depth: int) -> Condition:
        submit_options = [self._all(depth)]
        while self._word("or"):
            submit_options.append(self._all(depth))
        return submit_options[0] if len(submit_options) == 1 else Or(tuple(submit_options))

    def _all(self, depth: int) -> Condition:
        submit_options = [self._term(depth)]
        while self._word("and"):
            submit_options.append(self._term(depth))
        return submit_options[0] if len(submit_options) == 1 else And(tuple(submit_options))

    def _term(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise self._error(f"a condition is at most {_MAX_DEPTH} deep")
        if self._word("not"):
            return Not(self._term(depth + 1))
        if not self._sign("("):
            return self._test()
        inside = self._some(depth + 1)
        if not self._sign(")"):
            raise self._error("expected `)`, `and` or `or`")
        return inside

    def _test(self) -> Comparison:
        self.tests += 1
        if self.tests > _MAX_TESTS:
            raise self._error(f"a condition has at most {_MAX_TESTS} tests")
        begin = self._skip()
        found = self._take(_NAME)
        if found is None:
            raise self._error("expected a field, for example exit_status, duration or tag.KEY")
        name, _, key = found[0].partition(".")
        name = name.lower()
        self._check_field(begin, name, key)
        kind = FIELDS[name]
        operator = self._operator(name, kind)
        return Comparison(name, operator, self._values(kind, operator), key)

    def _check_field(self, place: int, name: str, key: str) -> None:
        if name not in FIELDS:
            raise ConditionError(self.text, place, f"there is no field {name}: {_known()}")
        if name == "tag" and not key:
            raise ConditionError(self.text, place, "a tag is written as tag.KEY")
        if name != "tag" and key:
            raise ConditionError(self.text, place, f"{name} has no parts; a tag is tag.KEY")

    def _operator(self, name: str, kind: Kind) -> str:
        place = self._skip()
        found = self._take(_OPERATOR)
        right = ", ".join(OPERATORS[kind])
        if found is None:
            raise self._error(f"expected an operator: {right}")
        operator = "=" if found[0] == "==" else found[0].lower()
        if operator not in OPERATORS[kind]:
            what = f"{name} is {kind.value}, and takes {right}"
            raise ConditionError(self.text, place, what)
        return operator

    def _values(self, kind: Kind, operator: str) -> tuple[Value, ...]:
        if operator != "in":
            return (self._value(kind, operator),)
        if not self._sign("("):
            raise self._error("expected `(` and values separated by commas")
        values = [self._value(kind, operator)]
        while self._sign(","):
            values.append(self._value(kind, operator))
        if not self._sign(")"):
            raise self._error("expected `,` or `)`")
        return tuple(values)

    def _value(self, kind: Kind, operator: str) -> Value:
        begin = self._skip()
        text = self._text()
        try:
            return _read(kind, operator, text, self.now)
        except ValueError as error:
            raise ConditionError(self.text, begin, str(error)) from None

    def _text(self) -> str:
        if found := self._take(_QUOTED):
            return re.sub(r"\\([\"'\\])", r"\1", found[1] if found[1] is not None else found[2])
        found = self._take(_BARE)
        if found is None:
            if self.text[self.place : self.place + 1] in ("'", '"'):
                raise self._error("this quote is not closed")
            raise self._error("expected a value, in quotes if it has spaces or parentheses")
        return found[0] + " ago" if self._word("ago") else found[0]

    def _skip(self) -> int:
        found = _SPACE.match(self.text, self.place)
        assert found is not None
        self.place = found.end()
        return self.place

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self._skip()
        found = pattern.match(self.text, self.place)
        if found is not None:
            self.place = found.end()
        return found

    def _sign(self, sign: str) -> bool:
        return self._take(re.compile(re.escape(sign))) is not None

    def _word(self, word: str) -> bool:
        """Whether the next is this word, and not a field of a name that begins so."""
        return self._take(re.compile(rf"{word}(?![\w.])", re.IGNORECASE)) is not None

    def _error(self, what: str) -> ConditionError:
        self._skip()
        return ConditionError(self.text, self.place, what)


def _known() -> str:
    return ", ".join(f"{name}.KEY" if name == "tag" else name for name in FIELDS)


_READ: dict[Kind, Callable[[str], Value]] = {
    Kind.WHOLE: read_whole,
    Kind.SIGNAL: read_signal,
    Kind.DURATION: read_duration,
    Kind.SIZE: read_size,
}


def _read(kind: Kind, operator: str, text: str, now: float) -> Value:
    """The value of a text for a field of this kind; ValueError."""
    if kind is Kind.TIME:
        return read_time(text, now)
    if kind is Kind.STATE:
        return read_state(text).value
    if kind is not Kind.TEXT:
        return _READ[kind](text)
    if operator in ("~", "!~"):
        _check_pattern(text)
    if "\0" in text:
        raise ValueError("text cannot contain a NUL character")
    return text


def read_state(text: str) -> TaskState:
    """A state by its word; `running` is what a client has; ValueError."""
    word = text.lower()
    try:
        return TaskState("sent" if word == "running" else word)
    except ValueError:
        words = ", ".join(state.value for state in TaskState)
        raise ValueError(f"expected a state: {words}") from None


def _check_pattern(text: str) -> None:
    if len(text) > _MAX_PATTERN:
        raise ValueError(f"a pattern has at most {_MAX_PATTERN} characters")
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"a regular expression is right here: {error}") from None


def _written(kind: Kind, value: Value) -> str:
    """A value as `parse` reads it."""
    if isinstance(value, str):
        quoted = re.sub(r"([\"\\])", r"\\\1", value)
        return value if kind is Kind.STATE else f'"{quoted}"'
    return f"@{value!r}" if kind is Kind.TIME else repr(value)
