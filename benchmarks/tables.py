"""Tables and figures, as reStructuredText that is also readable in a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Table:
    """One table under its title."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure to reach: at most `limit` when `at_most`, otherwise at least."""

    name: str
    reached: float
    limit: float
    unit: str
    at_most: bool = True

    @property
    def met(self) -> bool:
        return self.reached <= self.limit if self.at_most else self.reached >= self.limit


@dataclass(slots=True)
class Report:
    """What one subject found."""

    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], form: str = "{:.1f}") -> str:
    """The lowest and the highest, as `1.0-2.0`."""
    return f"{form.format(min(values))}-{form.format(max(values))}"


def number(value: float) -> str:
    """Three digits that count, and thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def render(table: Table) -> str:
    """The table under its title, first column to the left and the others to the right."""
    cells = [[str(cell) or "-" for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    rule = "  ".join("=" * width for width in widths)
    lines = [table.title, "-" * len(table.title), "", rule]
    for index, row in enumerate(cells):
        first = row[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([first, *rest]).rstrip())
        if index == 0:
            lines.append(rule)
    return "\n".join([*lines, rule]) + "\n"


def figures_table(figures: Sequence[Figure]) -> Table:
    table = Table("Figures to reach", ("figure", "to reach", "reached", "met"))
    for figure in figures:
        bound = "at most" if figure.at_most else "at least"
        unit = f" {figure.unit}" if figure.unit else ""
        table.rows.append(
            (
                figure.name,
                f"{bound} {number(figure.limit)}{unit}",
                f"{number(figure.reached)}{unit}",
                "yes" if figure.met else "NO",
            )
        )
    return table
