"""Regular expressions of other people: found byte by byte, in linear time, or refused in words."""

import re
import threading
from time import perf_counter

import pytest

from hypershell.core.query.pattern import MAX_PATTERN, check_pattern, compiled, regex_matches

VALUES = [
    b"",
    b"abc",
    b"ABC",
    b"aab seed 7",
    b"f(x)",
    "caf\xe9".encode(),
    b"caf\xe9",
    b"\xff\xfe",
    b"a\0b",
    b"a\nb",
    b"x" * 2000,
]


@pytest.mark.parametrize(
    "pattern",
    [
        "seed [0-9]+", "^a.*b$", "a|c", "(a|b){2}c", "[(]x", "\udce9$", "x*x*x*x*x*x*x*", "", "^$",
        "(?i)aBc", r"\x00", r"\xff", "[^a-c]", "(?s)a.b", "a.b", "(?m)^b", r"\bseed\b", "(?:x?){9}",
        "(?P<name>a)b", r"\d\s*$", "^.{4}\udce9$", "(a+)+$",
    ],
)  # fmt: skip
def test_a_pattern_is_found_where_python_finds_it(pattern: str) -> None:
    """Each byte is a character, in the pattern and in the value."""
    given = pattern.encode("utf-8", "surrogateescape")
    matches = compiled(pattern)

    answers = [matches(value) for value in VALUES]

    assert [bool(re.search(given, value)) for value in VALUES] == answers


def test_a_character_of_several_bytes_is_found_in_the_encoding_of_the_pattern() -> None:
    """A command line is UTF-8; a line in another encoding is searched by its bytes."""
    assert compiled("caf\xe9$")("caf\xe9".encode())
    assert not compiled("caf\xe9$")(b"caf\xe9")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "(?i)(a*)*b"])
def test_a_pattern_that_backtracks_without_end_elsewhere_is_searched_at_once(pattern: str) -> None:
    """On 100 kB that do not match, where a search that backtracks never ends."""
    value = 100_000 * b"a" + b"!"
    started = perf_counter()

    found = compiled(pattern)(value)

    assert not found
    assert perf_counter() - started < 1


def test_a_search_lets_other_threads_go_on() -> None:
    """A server that searches answers its clients meanwhile."""
    matches = compiled(".*a.{1000}z")
    turns = 0
    over = threading.Event()

    def search() -> None:
        matches(20_000 * b"a")
        over.set()

    threading.Thread(target=search).start()
    while not over.is_set():
        turns += 1

    assert turns > 1000


UNSUPPORTED = {
    "(?=x)": "lookahead `(?=...)` is not supported: simplify the regular expression",
    "(?!x)": "negative lookahead `(?!...)`",
    "(?<=x)": "lookbehind `(?<=...)`",
    "(?<!x)": "negative lookbehind `(?<!...)`",
    r"(\w)\1": r"a backreference `\1` is not supported",
    "(?P<a>x)(?P=a)": "a backreference to a named group",
    "(?>x)": "an atomic group",
    "(x)?(?(1)a|b)": "a conditional group",
    "(?#x)": "a comment",
    "(?x) a": "verbose mode",
    "x++": "`++` is not supported",
    r"a\Z": r"`\Z` (the end of a text is `\z`) is not supported",
    r"\u00e9": r"`\u` is not supported",
    "x{1001}": "{1001} repeats too often",
    "((x{90}){90}){90}": "repeats too often",
    "((abcdef){100}|g){10}": "too large",
    "(": "expected a regular expression: missing )",
    "[b-a]": "expected a regular expression: invalid character class range: `b-a`",
    "x" * (MAX_PATTERN + 1): "at most 1000 characters",
}


@pytest.mark.parametrize("pattern", UNSUPPORTED, ids=lambda pattern: pattern[:20])
def test_a_pattern_that_cannot_be_searched_for_is_refused_in_plain_words(
    pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is not supported is named; RE2 itself writes nothing."""
    with pytest.raises(ValueError, match=re.escape(UNSUPPORTED[pattern])):
        check_pattern(pattern)

    assert ("", "") == capfd.readouterr()


def test_a_pattern_of_bytes_is_searched_for_as_well() -> None:
    """As a database calls it."""
    assert regex_matches(b"\xff+$", b"a\xff")
    assert not regex_matches(b"\xff+$", b"a")
