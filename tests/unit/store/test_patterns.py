"""Regular expressions of other people: found as Python finds them, and never for ever."""

import re
import threading

import pytest

from hypershell.store.sql import patterns
from hypershell.store.sql.patterns import PatternTooSlow, found

ENDLESS = "(a+)+b"
VALUE = b"a" * 60


@pytest.mark.parametrize(
    "pattern",
    ["seed", "^a.*b$", "a|c", "(a|b){2}c", r"(\w)\1", "[(]x", "\xe9$", "(?=x)", "x*x*x*x*x*x*x*"],
)
def test_a_pattern_is_found_where_python_finds_it(pattern: str) -> None:
    """Whether it is sought here or by the process beside, the answer is the same."""
    values = [b"", b"abc", b"aab seed 7", b"f(x)", b"caf\xe9", b"x" * 2000]

    answers = [found(pattern, value) for value in values]

    assert [bool(re.search(pattern, each.decode("latin-1"))) for each in values] == answers


def test_a_search_that_would_never_end_is_refused_and_the_next_is_done() -> None:
    """An alarm ends it; meanwhile other threads go on, as they do not for a search in here."""
    turns = 0
    over = threading.Event()
    refused: list[PatternTooSlow] = []

    def seek() -> None:
        with pytest.raises(PatternTooSlow) as caught:
            found(ENDLESS, VALUE)
        refused.append(caught.value)
        over.set()

    threading.Thread(target=seek).start()
    while not over.wait(0.01):
        turns += 1

    assert ENDLESS in str(refused[0])
    assert turns > 20
    assert found("(a+)b", b"aab")


def test_what_searches_for_a_pattern_take_together_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A million searches that each take a little less than too long are too long as well."""
    monkeypatch.setattr(patterns, "PATTERN_SECONDS", 0.0)
    found("(of its own)", b"x")

    with pytest.raises(PatternTooSlow):
        found("(of its own)", b"x")

    assert not found("(another)", b"x")
