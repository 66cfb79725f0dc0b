"""Each error says what happened, what to do, and how the program exits."""

import inspect
import re
import string

import pytest

from hypershell.core import errors
from hypershell.core.errors import HyperShellError, UsageError

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HyperShellError) and kind.says != HyperShellError.says
]


def fields(template: str) -> set[str]:
    """The facts that a template wants."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_says_what_happened_and_what_to_do(kind):
    """In one line each, with its facts in them."""
    facts = dict.fromkeys(fields(kind.says) | fields(kind.hint), 7)

    error = kind(**facts)

    assert ("7" in str(error)) == bool(fields(kind.says))
    assert error.advice
    assert "\n" not in f"{error}{error.advice}"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_exits_with_a_status_of_the_manual(kind):
    """2 to 6; 1 is for tasks that failed."""
    assert kind.exit_code in range(2, 7)


def test_a_usage_error_points_at_the_help_of_its_verb():
    """Or at the whole help where there is no verb."""
    assert "`hyper-shell client --help`" in UsageError("no such option", "client").advice
    assert "`hyper-shell --help`" in UsageError("no such verb").advice


def test_the_hint_of_a_usage_error_is_text_and_no_template():
    """It may hold what a user typed."""
    assert "use {} once" == UsageError("bad", hint="use {} once").advice


def test_the_tree_at_the_top_of_the_module_names_every_error():
    """And nothing that is not one."""
    tree = set(re.findall(r"\b[A-Z][a-z]+[A-Za-z]*\b", errors.__doc__ or ""))

    assert {kind.__name__ for kind in CLASSES} <= tree
