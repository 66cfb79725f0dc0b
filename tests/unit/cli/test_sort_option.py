"""The option --sort of verbs that print a table."""

import pytest

from hypershell.cli.options import parse
from hypershell.cli.sort_option import BY_ID, Sort, sort_from
from hypershell.cli.verbs import failures
from hypershell.core.errors import UsageError

ROWS = [("a", 2), ("b", None), ("c", 1), ("d", 2)]


def names(sort: Sort) -> str:
    """The rows in that order."""
    return "".join(name for name, _ in sort.rows(ROWS, lambda row: row[1]))


def test_rows_are_ordered_by_their_values():
    """Those with the same one as they came, those without one last."""
    found = (names(Sort("x")), names(Sort("x", descends=True)), names(BY_ID))

    assert ("cadb", "adcb", "abcd") == found


@pytest.mark.parametrize(
    ("words", "sort"),
    [
        ([], Sort()),
        (["--sort", "count"], Sort("count")),
        (["--sort", "count:asc"], Sort("count")),
        (["--sort", "cause:desc"], Sort("cause", descends=True)),
    ],
)
def test_a_field_and_a_direction_are_read(words, sort):
    """From low to high, unless it says otherwise."""
    parsed = parse(failures.USAGE, "failures", words)

    assert sort == sort_from(parsed, ("count", "cause"))


@pytest.mark.parametrize("text", ["host", "count:up", ":desc:x"])
def test_an_order_that_there_is_not_is_refused(text):
    """With those that there are."""
    parsed = parse(failures.USAGE, "failures", ["--sort", text])

    with pytest.raises(UsageError, match=r"unknown field|takes FIELD"):
        sort_from(parsed, ("count", "cause"))
