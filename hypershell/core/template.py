"""Templates: a command with places for the values of a record.

Replacement strings are those of GNU parallel 20221122 (`man parallel`, "replacement string") where
it has them: `{}`, `{.}`, `{/}`, `{//}`, `{/.}`, `{#}`, `{%}`, the same with a position (`{2}`,
`{-1}`, `{2/.}`) or a name (`{file}`, `{file/.}`). `{=}`, `{=2}` and `{=file}` give a value without
quotes. A brace that is none of these stays as it is, and so does one after a backslash.

A value is quoted for the place where it stands: bare, inside single quotes, or inside double quotes
of the template, so that the shell takes it as text in each of them. (GNU parallel quotes for the
first of these only.) What opens and closes quotes is told by the rules of POSIX, 2.2 "Quoting" and
2.6.3 "Command Substitution". Where they do not tell, a template is refused: a value that is quoted
for another place than its own would be run.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hypershell.core.record import Record
from hypershell.core.text import bytes_of

_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda value: value,
    ".": lambda value: _without_extension(value),
    "/": lambda value: value.rpartition(b"/")[2],
    "//": lambda value: _directory(value),
    "/.": lambda value: _without_extension(value.rpartition(b"/")[2]),
}

_PLACE = r"\{(?:(#|%)|(=?)(-?[1-9][0-9]{0,5}{names})?(\.|//|/\.|/)?)\}"
_SAFE = re.compile(rb"[\w@%+=:,./-]+", re.ASCII)
_SPECIAL_IN_QUOTES = re.compile(rb'([$`"\\])')
_BEFORE_COMMENT = frozenset(" \t\n;&|()")
_CASE = re.compile(r"\bcase\b")
_IDENTIFIER = re.compile(r"\w", re.ASCII)

BARE, SINGLE, DOUBLE = "", "'", '"'
"""What a place stands in: the quotes around it."""


class _Place(NamedTuple):
    """Where a value goes: which, in what form, and how it is quoted there."""

    which: str
    form: str
    is_raw: bool
    quotes: str


class Template:
    """A command with places for values. `names` are those that records have.

    A template without any replacement string gets the whole record at its end. ValueError for one
    in which a value would stand where nobody can tell how to quote it.
    """

    def __init__(self, text: str, names: Iterable[str] = ()) -> None:
        self.text = text
        self._names = {name: index for index, name in enumerate(names) if name}
        self._parts: list[bytes | _Place] = []
        words = "".join(f"|{re.escape(name)}" for name in sorted(self._names, reverse=True))
        self._place = re.compile(_PLACE.replace("{names}", words))
        if not self._parse(text):
            self._parse(f"{text} {{}}")

    def expand(self, record: Record, number: int) -> bytes:
        """The command for a record, the `number`th of its run."""
        return b"".join(
            part if isinstance(part, bytes) else self._value(part, record, number)
            for part in self._parts
        )

    def _parse(self, text: str) -> bool:
        """Cut it at its places; whether there are any."""
        self._parts, quotes, at, has_place = [], _Quotes(), 0, False
        for found in self._place.finditer(text):
            counter, is_raw, which, form = found[1], bool(found[2]), found[3] or "", found[4] or ""
            before = text[at : found.start()]
            quotes.read(before)
            self._parts.append(bytes_of(before))
            at = found.start()
            if quotes.is_escaped:
                continue
            if not (is_raw or counter == "#") and (obstacle := quotes.obstacle(text)):
                raise ValueError(f"{found[0]} {obstacle}")
            at, has_place = found.end(), True
            quotes.pass_word()
            if counter == "%":
                self._parts.append(_slot(quotes.now, text[at : at + 1]))
            else:
                self._parts.append(_Place(counter or which, form, is_raw, quotes.now))
        self._parts.append(bytes_of(text[at:]))
        return has_place

    def _value(self, place: _Place, record: Record, number: int) -> bytes:
        which, form, is_raw, quotes = place
        if which == "#":
            return b"%d" % number
        form_of = _FORMS[form]
        if not which:
            values = [form_of(value) for value in record.values]
        else:
            value = self._chosen(which, record)
            values = [form_of(value)] if value else [b""]
        if is_raw:
            return b" ".join(values)
        return b" ".join(quoted(value, quotes) for value in values)

    def _chosen(self, which: str, record: Record) -> bytes:
        """The value at a position or of a name; empty if the record does not have it."""
        values = record.values
        if which in self._names:
            index = self._names[which]
            return values[index] if index < len(values) else b""
        position = int(which)
        index = position - 1 if position > 0 else len(values) + position
        return values[index] if 0 <= index < len(values) else b""


def _without_extension(path: bytes) -> bytes:
    """A path without what follows the last dot of its name, unless its name begins with that."""
    name = path.rpartition(b"/")[2]
    stem = name.rpartition(b".")[0]
    return path[: len(path) - len(name) + len(stem)] if stem.strip(b".") else path


def _directory(path: bytes) -> bytes:
    head, slash, _ = path.rpartition(b"/")
    return head or slash or b"."


def quoted(value: bytes, quotes: str = BARE) -> bytes:
    """A value as a shell takes it for text, where these quotes are open."""
    if quotes == BARE:
        if _SAFE.fullmatch(value):
            return value
        return b"'" + value.replace(b"'", b"'\"'\"'") + b"'"
    if quotes == SINGLE:
        return value.replace(b"'", b"'\"'\"'")
    return _SPECIAL_IN_QUOTES.sub(rb"\\\1", value)


def _slot(quotes: str, after: str) -> bytes:
    """What the shell of the task makes the number of its slot of."""
    variable = b"${TASK_SLOT}" if _IDENTIFIER.match(after) else b"$TASK_SLOT"
    return b"'\"" + variable + b"\"'" if quotes == SINGLE else variable


class _Quotes:
    """Follows a command, and knows which quotes are open where it is."""

    def __init__(self) -> None:
        self._open = [BARE]  # innermost last; "(", "`" and "{" stand for what is inside of these
        self._last = "\n"
        self._skips_comment = False
        self._has_document = False
        self.is_escaped = False
        self._was_command_in_quotes = False
        self._unsafe = ""

    @property
    def now(self) -> str:
        """The quotes around what comes next."""
        innermost = self._open[-1]
        return innermost if innermost in (SINGLE, DOUBLE) else BARE

    def obstacle(self, text: str) -> str:
        """Why a value cannot be put here, in all of this text; "" if it can."""
        if "`" in self._open:
            return "is inside of `...`: write $(...) instead"
        if "{" in self._open:
            return "is inside of ${...}, where it cannot be quoted"
        if self._was_command_in_quotes and _CASE.search(text):  # whose `)` are of two kinds
            return 'is in or after "$(...)", in a template with `case`'
        return self._unsafe

    def pass_word(self) -> None:
        """Go on by a value."""
        self._last = "x"

    def read(self, text: str) -> None:
        """Go on by this much."""
        for character in text:
            self._step(character)

    def _step(self, character: str) -> None:
        innermost, last = self._open[-1], self._last
        self._last = character
        if self._skips_comment:
            self._skips_comment = character != "\n"
        elif self.is_escaped:
            self.is_escaped, self._last = False, "x"
        elif innermost == SINGLE:
            if character == SINGLE:
                self._open.pop()
        elif character == "\\":
            self.is_escaped = True
        elif innermost == DOUBLE:
            self._step_in_double(character, last)
        else:
            self._step_outside(character, last, innermost)

    def _step_in_double(self, character: str, last: str) -> None:
        if character == DOUBLE:
            self._open.pop()
        elif character == "`" or (last == "$" and character in "({"):
            self._open.append(character)
            self._was_command_in_quotes |= character == "("

    def _step_outside(self, character: str, last: str, innermost: str) -> None:
        if character == innermost == "`" or (innermost, character) in (("(", ")"), ("{", "}")):
            self._open.pop()
        elif character in (SINGLE, DOUBLE, "`", "("):
            self._open.append(character)
            if last == "$" and character == SINGLE:
                self._unsafe = "comes after $'...', which shells read in different ways"
        elif character == "{" and last == "$":
            self._open.append(character)
        elif character == "#" and last in _BEFORE_COMMENT:
            self._skips_comment = True
        elif character == "<" and last == "<":
            self._has_document = True
        elif character == "\n" and self._has_document:
            self._unsafe = "comes after a here-document"
