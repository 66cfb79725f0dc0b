"""The option --sort FIELD[:desc] of verbs that print a table."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, TypeVar

from hypershell.cli.options import Parsed

T = TypeVar("T")


class Sort(NamedTuple):
    """By which field rows are ordered, "" for the order in which they come."""

    field: str = ""
    descends: bool = False

    def rows(self, rows: Sequence[T], value_of: Callable[[T], Any]) -> list[T]:
        """The rows in order. Those with the same value stay as they came, those without are last.

        `value_of` tells the value that a row has for the field.
        """
        if not self.field:
            return list(rows)
        present = [row for row in rows if value_of(row) is not None]
        present.sort(key=value_of, reverse=self.descends)
        return present + [row for row in rows if value_of(row) is None]


BY_ID = Sort()
"""The order in which rows come."""


def sort_from(parsed: Parsed, fields: Collection[str] | None = None) -> Sort:
    """How rows are sorted, by one of these fields if they are given; UsageError."""
    name, _, direction = (parsed.text("--sort") or "").partition(":")
    if direction not in ("", "asc", "desc"):
        raise parsed.error(f"--sort takes FIELD, FIELD:asc or FIELD:desc, not {direction!r}")
    if name and fields is not None and name not in fields:
        raise parsed.error(f"unknown field {name}", f"fields are {', '.join(fields)}")
    return Sort(name, direction == "desc")
