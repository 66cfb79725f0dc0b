"""The table of faults: what became of the tasks of trials in which something was broken on purpose.

The rows of one session are printed at its end, and written to `build/faults.rst`.
"""

import os
import platform
import statistics
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

from tests.helpers.farm import ROOT

HEADINGS = (
    "fault",
    "trials",
    "tasks",
    "lost",
    "twice",
    "at the same time twice",
    "wrong status",
    "orphans",
    "seconds to notice: median",
    "worst",
)
TARGET = ROOT / "build" / "faults.rst"


class Row(NamedTuple):
    """What trials of one fault counted.

    `lost` have no final state at the end; `twice` ran to their end more than once, as a task may
    whose server or client was killed; `overlapping` did so at the same time; `wrong` are not in
    the state that their exit status deserves; `orphans` are processes of tasks that outlived the
    run. `seconds` passed in each trial until somebody said that something was wrong.
    """

    fault: str
    trials: int = 0
    tasks: int = 0
    lost: int = 0
    twice: int = 0
    overlapping: int = 0
    wrong: int = 0
    orphans: int = 0
    seconds: tuple[float, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing happened that must not."""
        return not (self.lost or self.overlapping or self.wrong or self.orphans)

    def plus(self, other: "Row") -> "Row":
        """Both together."""
        counts = [mine + its for mine, its in zip(self[1:], other[1:], strict=True)]
        return Row(self.fault, *counts)

    def cells(self) -> list[object]:
        """As the table shows it."""
        median = f"{statistics.median(self.seconds):.1f}" if self.seconds else "-"
        worst = f"{max(self.seconds):.1f}" if self.seconds else "-"
        return [*self[:-1], median, worst]


class FaultTable:
    """The rows of a session."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """One more."""
        self.rows.append(row)

    def text(self) -> str:
        """The page, with the day and the machine."""
        cells = [row.cells() for row in self.rows]
        table = tabulate(cells, HEADINGS, tablefmt="rst", disable_numparse=True)
        day = datetime.now(timezone.utc).date().isoformat()
        machine = f"{os.cpu_count()} cores, {_processor()}, Linux {platform.release()}"
        python = ".".join(map(str, sys.version_info[:3]))
        return _PAGE.format(table=table, day=day, machine=machine, python=python)

    def write(self, target: Path = TARGET) -> None:
        """Write the page, for the manual."""
        target.parent.mkdir(exist_ok=True)
        target.write_text(self.text())


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


_PAGE = """\
What faults cost
================

``make fault`` breaks something on purpose while tasks run, again and again, repairs it as a user
would, and counts what became of the tasks. Each task holds a lock as long as it lives, so that one
that is started while it still runs is found out; every tenth ends with status 3.

A task is *lost* if it has no final state at the end. It ran *twice* if it came to its end more than
once, which is allowed where a server or a client was killed before the outcome was recorded. It has
the *wrong status* if it is recorded as failed though it did not fail, or as succeeded though it did
not succeed. *Orphans* are processes of tasks that outlived their run. The *seconds to notice* pass
until a message says that something is wrong.

{table}

{day}; {machine}; Python {python}.
"""
