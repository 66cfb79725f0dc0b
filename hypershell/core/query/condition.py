"""Conditions on tasks, as in `exit_status >= 3 and not (line ~ "seed [0-9]+" or tag.k = v)`.

A comparison of something that a task does not have, such as the exit status of a waiting task, is
false whatever its operator; `not` inverts that. `str` of a condition reads back as the same
condition at any time and on any machine: times are written as seconds since the epoch.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from hypershell.core.ending import Ending
from hypershell.core.query.fields import FIELDS, OPERATORS, Kind
from hypershell.core.query.pattern import check_pattern
from hypershell.core.state import SHOWN_STATES, TaskState
from hypershell.core.units import (
    read_duration,
    read_signal,
    read_size,
    read_time,
    read_whole,
)

MAX_LENGTH = 10_000
"""Characters in a condition."""

_MAX_COMPARISONS = 200
_MAX_DEPTH = 40

Value = int | float | str


class ConditionError(ValueError):
    """A condition that cannot be read; says where the mistake is and what was expected."""

    def __init__(self, text: str, place: int, what: str) -> None:
        rest = text[place:].strip()
        shown = rest if len(rest) <= 24 else rest[:24] + "..."
        where = f"at character {place + 1} ({shown})" if rest else "at the end"
        super().__init__(f"{where}: {what}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field compared with one value, or with several for `in`. `key` is that of a tag.

    Bytes of text that are not UTF-8 are surrogates; a state is its word, sizes are in bytes, times
    and durations in seconds.
    """

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
    """True where its term is false."""

    term: "Condition"

    def __str__(self) -> str:
        return f"not ({self.term})"


@dataclass(frozen=True, slots=True)
class And:
    """True where all of its terms are true."""

    terms: tuple["Condition", ...]

    def __str__(self) -> str:
        return " and ".join(f"({term})" for term in self.terms)


@dataclass(frozen=True, slots=True)
class Or:
    """True where at least one of its terms is true."""

    terms: tuple["Condition", ...]

    def __str__(self) -> str:
        return " or ".join(f"({term})" for term in self.terms)


Condition = Comparison | Not | And | Or


def parse(text: str, now: float) -> Condition:
    """Read a condition; ConditionError. `now` is the time from which `2h ago` counts."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(text, MAX_LENGTH, f"a condition has at most {MAX_LENGTH} characters")
    return _Parser(text, now).whole()


_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[\w.-]+)?", re.ASCII)
_OPERATOR = re.compile(r"!=|<=|>=|==|!~|=|<|>|~|in\b", re.IGNORECASE)
_BARE = re.compile(r"[^\s(),'\"]+")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)


class _Parser:
    """Reads a text from left to right; `place` is the index of the next character."""

    def __init__(self, text: str, now: float) -> None:
        self.text = text
        self.now = now
        self.place = 0
        self.comparisons = 0

    def whole(self) -> Condition:
        condition = self._or_terms(0)
        self._skip()
        if self.place < len(self.text):
            raise self._error("expected `and`, `or` or the end of the condition")
        return condition

    def _or_terms(self, depth: int) -> Condition:
        terms = [self._and_terms(depth)]
        while self._word("or"):
            terms.append(self._and_terms(depth))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _and_terms(self, depth: int) -> Condition:
        terms = [self._term(depth)]
        while self._word("and"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _term(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise self._error(f"a condition is nested at most {_MAX_DEPTH} levels deep")
        if self._word("not"):
            return Not(self._term(depth + 1))
        if not self._sign("("):
            return self._comparison()
        inside = self._or_terms(depth + 1)
        if not self._sign(")"):
            raise self._error("expected `)`, `and` or `or`")
        return inside

    def _comparison(self) -> Comparison:
        self.comparisons += 1
        if self.comparisons > _MAX_COMPARISONS:
            raise self._error(f"a condition has at most {_MAX_COMPARISONS} comparisons")
        begin = self._skip()
        found = self._take(_NAME)
        if found is None:
            raise self._error("expected a field, for example exit_status, duration or tag.KEY")
        name, _, key = found[0].partition(".")
        name = name.lower()
        self._check_field(begin, name, key)
        kind = FIELDS[name]
        operator = self._operator(name, kind)
        return Comparison(name, operator, self._values(name, kind, operator), key)

    def _check_field(self, place: int, name: str, key: str) -> None:
        if name not in FIELDS:
            raise ConditionError(self.text, place, f"unknown field {name}; fields are {_known()}")
        if name == "tag" and not key:
            raise ConditionError(self.text, place, "write a tag as tag.KEY")
        if name != "tag" and key:
            raise ConditionError(self.text, place, f"{name} takes no `.KEY`, only tag does")

    def _operator(self, name: str, kind: Kind) -> str:
        place = self._skip()
        found = self._take(_OPERATOR)
        allowed = ", ".join(OPERATORS[kind])
        if found is None:
            raise self._error(f"expected an operator: {allowed}")
        operator = "=" if found[0] == "==" else found[0].lower()
        if operator not in OPERATORS[kind]:
            what = f"{name} is {kind.value}; its operators are {allowed}"
            raise ConditionError(self.text, place, what)
        return operator

    def _values(self, name: str, kind: Kind, operator: str) -> tuple[Value, ...]:
        if operator != "in":
            return (self._value(name, kind, operator),)
        if not self._sign("("):
            raise self._error("expected `(` and values with commas between them")
        values = [self._value(name, kind, operator)]
        while self._sign(","):
            values.append(self._value(name, kind, operator))
        if not self._sign(")"):
            raise self._error("expected `,` or `)`")
        return tuple(values)

    def _value(self, name: str, kind: Kind, operator: str) -> Value:
        begin = self._skip()
        text = self._text()
        try:
            if name == "ending" and operator not in ("~", "!~"):
                return _read_ending(text)
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
            raise self._error("expected a value; quote one that has spaces or parentheses")
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
        """Take this word if it is next, and not a field whose name begins with it."""
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
    """Read a value for a field of this kind; ValueError."""
    if kind is Kind.TIME:
        return read_time(text, now)
    if kind is Kind.STATE:
        return read_state(text).value
    if kind is not Kind.TEXT:
        return _READ[kind](text)
    if operator in ("~", "!~"):
        check_pattern(text)
    if "\0" in text:
        raise ValueError("a value cannot contain a NUL character")
    return text


def _read_ending(text: str) -> str:
    """Read the word of an ending, with blanks or with hyphens; ValueError."""
    word = text.lower().replace("-", " ")
    words = [ending.word for ending in Ending]
    if word not in words:
        known = ", ".join(each.replace(" ", "-") for each in words)
        raise ValueError(f"expected an ending: {known}")
    return word


def read_state(text: str) -> TaskState:
    """Read the word of a state that people see. ValueError."""
    for state in SHOWN_STATES:
        if state.value == text.lower():
            return state
    words = ", ".join(state.value for state in SHOWN_STATES)
    raise ValueError(f"expected a state: {words}")


def _written(kind: Kind, value: Value) -> str:
    """Write a value as `parse` reads it."""
    if isinstance(value, str):
        quoted = re.sub(r"([\"\\])", r"\\\1", value)
        return value if kind is Kind.STATE else f'"{quoted}"'
    return f"@{value!r}" if kind is Kind.TIME else repr(value)
