"""The condition language: what it reads, and what it says about the rest."""

import re

import pytest

from hypershell.core.query.condition import And, Comparison, ConditionError, Not, Or, parse

Comparison.__test__ = False  # type: ignore[attr-defined]

NOW = 1_000_000.0


def test_and_binds_more_than_or_and_not_most() -> None:
    """As everywhere."""
    condition = parse("not id = 1 and id = 2 or id = 3", NOW)

    one, two, three = (Comparison("id", "=", (number,)) for number in (1, 2, 3))
    assert Or((And((Not(one), two)), three)) == condition


def test_parentheses_bind_first() -> None:
    """However many there are."""
    condition = parse("id = 1 and ((id = 2 or id = 3))", NOW)

    one, two, three = (Comparison("id", "=", (number,)) for number in (1, 2, 3))
    assert And((one, Or((two, three)))) == condition


READ = {
    "exit_status>=3": Comparison("exit_status", ">=", (3,)),
    "EXIT_STATUS == 3": Comparison("exit_status", "=", (3,)),
    "line ~ ^a.*b$": Comparison("line", "~", ("^a.*b$",)),
    r"line = 'it\'s'": Comparison("line", "=", ("it's",)),
    'line = "two words"': Comparison("line", "=", ("two words",)),
    "line ~ seed=7": Comparison("line", "~", ("seed=7",)),
    "tag.my-key.x != a": Comparison("tag", "!=", ("a",), "my-key.x"),
    "state = RUNNING": Comparison("state", "=", ("running",)),
    "state in (failed, CANCELLED)": Comparison("state", "in", ("failed", "cancelled")),
    "signal = KILL": Comparison("signal", "=", (9,)),
    "duration > 1h30m": Comparison("duration", ">", (5400.0,)),
    "duration > 1.5h": Comparison("duration", ">", (5400.0,)),
    "memory < 4GiB": Comparison("memory", "<", (4 * 2**30,)),
    "memory < 1kb": Comparison("memory", "<", (1000,)),
    "started > 2h ago": Comparison("started", ">", (NOW - 7200,)),
    "started > '90 s ago'": Comparison("started", ">", (NOW - 90,)),
    "started < now": Comparison("started", "<", (NOW,)),
    "ended >= 2026-01-31T12:00+00:00": Comparison("ended", ">=", (1769860800.0,)),
    "priority = -5": Comparison("priority", "=", (-5,)),
}


@pytest.mark.parametrize("text", READ, ids=str)
def test_a_comparison_is_read_by_the_kind_of_its_field(text: str) -> None:
    """Numbers, durations, sizes, times, states, signals, text."""
    condition = parse(text, NOW)

    assert READ[text] == condition


WRONG = {
    "": (0, "expected a field"),
    "exit_status => 3": (13, "a whole number"),
    "exit_status": (11, "expected an operator: =, !=, <"),
    "exit_status >= ": (15, "expected a value"),
    "exit_status >= 1.5": (15, "a whole number"),
    "foo = 1": (0, "unknown field foo"),
    "line < a": (5, "line is text; its operators are ="),
    "state > failed": (6, "state is a state"),
    "started = 2026-01-31": (8, "started is a time; its operators are <"),
    "started > yesterday": (10, "2026-01-31"),
    "duration > 10x": (11, "10m"),
    "memory > lots": (9, "4GiB"),
    "signal = FOO": (9, "KILL"),
    "state = gone": (8, "waiting, running"),
    "line ~ '('": (7, "expected a regular expression"),
    "id = 1 and not line ~ '(?=x)'": (22, "lookahead `(?=...)` is not supported"),
    "tag.k !~ '(a)\\1'": (9, "a backreference `\\1` is not supported: simplify"),
    "line = 'abc": (7, "not closed"),
    "(id = 1": (7, "`)`"),
    "id = 1)": (6, "`and`"),
    "id = 1 id = 2": (7, "`and`"),
    "id = 1 and": (10, "a field"),
    "id in 3": (6, "`(`"),
    "id in (3 4)": (9, "`,` or `)`"),
    "tag = 3": (0, "tag.KEY"),
    "id.x = 3": (0, "takes no `.KEY`"),
    "id = 99999999999999999999": (5, "a whole number"),
    "(" * 60 + "id = 1": (41, "deep"),
    " or ".join(["id = 1"] * 201): (2000, "at most 200"),
    "line = a" + " " * 10_000: (10_000, "10000 characters"),
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:24])
def test_what_cannot_be_read_is_shown_with_its_place_and_what_is_right(text: str) -> None:
    """At the character, in one line."""
    place, words = WRONG[text]

    with pytest.raises(ConditionError, match=re.escape(words)) as caught:
        parse(text, NOW)

    assert place == caught.value.place
    assert "\n" not in str(caught.value)
