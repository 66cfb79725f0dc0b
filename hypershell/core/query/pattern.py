"""Regular expressions, by RE2: a search takes time in proportion to what it searches.

Whatever the pattern is, it can neither hang a server nor fill its memory. Pattern and value are
bytes, each byte a character (latin-1), so text in any encoding can be searched; a UTF-8 character
of two bytes counts as two. RE2 has no lookaround and no backreferences.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

MAX_PATTERN = 1000
"""Characters in a pattern."""

_MAX_STEPS = 2500
"""The size of a compiled pattern; a byte of a value takes at most that many steps."""

_MAX_MEMORY = 8 << 20
"""Bytes that RE2 may use for one pattern."""

_UNSUPPORTED: dict[str, str] = {
    "(?=": "lookahead `(?=...)`",
    "(?!": "negative lookahead `(?!...)`",
    "(?<=": "lookbehind `(?<=...)`",
    "(?<!": "negative lookbehind `(?<!...)`",
    "(?>": "an atomic group `(?>...)`",
    "(?(": "a conditional group `(?(...)...)`",
    "(?#": "a comment `(?#...)`",
    "(?P": "a backreference to a named group `(?P=...)`",
    "(?x": "verbose mode `(?x)`",
    r"\Z": r"`\Z` (the end of a text is `\z`)",
}
"""Names for what other dialects have and RE2 does not, by the text that RE2 complains about."""


def check_pattern(text: str) -> None:
    """Raise ValueError if this is not a regular expression that can be searched for."""
    if len(text) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN} characters")
    compiled(text)


def compiled(text: str) -> Callable[[bytes], bool]:
    """A function that says whether a pattern is found in bytes; ValueError.

    Surrogates in `text` stand for bytes that are not UTF-8.
    """
    return _compiled(text.encode("utf-8", "surrogateescape"))


def regex_matches(pattern: bytes, value: bytes) -> bool:
    """Whether a pattern is found in bytes; ValueError."""
    return _compiled(pattern)(value)


@lru_cache(maxsize=100)
def _compiled(pattern: bytes) -> Callable[[bytes], bool]:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False  # RE2 would write them to standard error
    options.never_capture = True  # nobody asks where a group matched, and recording it costs time
    options.max_mem = _MAX_MEMORY
    try:
        regex = re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(_explained(error)) from None
    if regex.programsize > _MAX_STEPS:
        raise ValueError(_TOO_LARGE)
    search = regex.search
    return lambda value: search(value) is not None


_TOO_LARGE = "the regular expression is too large: simplify it, or repeat less often in `{...}`"


def _explained(error: Exception) -> str:
    """An error of RE2 in words for a user who may know another dialect."""
    said: Any = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if "too large" in text:
        return _TOO_LARGE
    what, _, where = text.partition(": ")
    lacks = _UNSUPPORTED.get(where)
    if lacks is None and what == "invalid escape sequence":
        lacks = f"a backreference `{where}`" if where[1:].isdigit() else f"`{where}`"
    elif lacks is None and what == "bad repetition operator":
        lacks = f"`{where}`"
    if lacks is not None:
        return f"{lacks} is not supported: simplify the regular expression"
    if what == "invalid repetition size":
        return f"{where} repeats too often (at most 1000 times, nested repeats multiplied)"
    if what == "invalid perl operator":
        what = "invalid group"
    shown = f"{what}: `{where}`" if where and len(where) <= 40 else what
    return f"expected a regular expression: {shown}"
