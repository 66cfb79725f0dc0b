"""Compares this checkout with another one: what a task costs each of them, in interleaved pairs.

    python benchmarks/compare.py OTHER [--pairs N] [--only ROW ...]

OTHER is a checkout of an earlier commit (`git worktree add OTHER COMMIT`). Both run under this
Python and its packages. What counts is the user and system time that our own processes used
(server, client and supervisor, without their tasks), as each of them reads it from the kernel in
its last moment. A pair is this checkout and the other one in turn; a row is judged by the median of
the pairs' ratios and its 95 % confidence interval, from order statistics (no assumption about the
distribution). A ratio below 1 says that this checkout uses less. Wall time stands beside it.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import farm
import processes
from contestants import write_lines
from tables import Table, render

TIMEOUT_SECONDS = 180.0

RECORDER = """\
import atexit, os, resource

def _record(end=os._exit):
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open(os.path.join(os.environ["CPU_RECORD"], str(os.getpid())), "w") as file:
        file.write(str(used.ru_utime + used.ru_stime))

def _exit(status, end=os._exit):
    _record()
    end(status)

if "CPU_RECORD" in os.environ:
    os._exit = _exit
    atexit.register(_record)
"""
"""A `sitecustomize` module: every Python process notes its own CPU time as it ends."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: CPU seconds of our own processes, and wall seconds, both per task."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Row:
    """What is run: `commands` gets a farm, its file of lines and the checkout to run."""

    name: str
    line: str
    tasks: int
    keeps: bool
    commands: Callable[[farm.Farm, Path, Path], list[list[str]]]


def _server_and_client(own: farm.Farm, lines: Path, checkout: Path) -> list[list[str]]:
    return [own.server(lines), own.client(2)]


def _dispatch(own: farm.Farm, lines: Path, checkout: Path) -> list[list[str]]:
    client = str(checkout / "benchmarks" / "noop_client.py")
    return [own.server(lines), [sys.executable, client, str(own.port), "100"]]


def _cluster(own: farm.Farm, lines: Path, checkout: Path) -> list[list[str]]:
    return [own.cluster(lines, 2)]


def _word(word: str) -> Callable[[farm.Farm, Path, Path], list[list[str]]]:
    return lambda own, lines, checkout: [[*farm.PROGRAM, word]]


ROWS = (
    Row("true", "true", 4_000, False, _server_and_client),
    Row("true-sqlite", "true", 4_000, True, _server_and_client),
    Row("bin-true", "/bin/true", 6_000, False, _server_and_client),
    Row("dispatch", "true", 60_000, False, _dispatch),
    Row("dispatch-sqlite", "true", 40_000, True, _dispatch),
    Row("version", "", 1, False, _word("--version")),
    Row("help", "", 1, False, _word("--help")),
    Row("one-true", "true", 1, False, _cluster),
    Row("one-true-sqlite", "true", 1, True, _cluster),
)


def cost(row: Row, checkout: Path, place: Path) -> Cost:
    """Run it once. Raises processes.RunFailed."""
    own = farm.Farm(place, keeps=row.keeps)
    own.begin_empty()
    record = Path(tempfile.mkdtemp(prefix="cpu-", dir=place))
    environment = own.environment() | {
        "PYTHONPATH": os.pathsep.join([str(place / "recorder"), str(checkout)]),
        "CPU_RECORD": str(record),
    }
    lines = write_lines(place / "lines", row.line, row.tasks)
    began = time.perf_counter()
    started: list[processes.Process] = []
    with processes.ending(started):
        for number, command in enumerate(row.commands(own, lines, checkout)):
            name = f"process-{number}"
            started.append(processes.start(name, command, place, environment))
        processes.wait_all(started, TIMEOUT_SECONDS)
    wall = time.perf_counter() - began
    used = sum(float(path.read_text()) for path in record.iterdir())
    return Cost(used / row.tasks, wall / row.tasks)


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of the median, by order statistics (binomial with p = 1/2)."""
    ordered, n = sorted(ratios), len(ratios)
    below, rank = 0.0, 0
    while below + math.comb(n, rank) / 2**n <= 0.025:
        below += math.comb(n, rank) / 2**n
        rank += 1
    rank = max(rank - 1, 0)
    return ordered[rank], ordered[n - 1 - rank]


def compare(row: Row, here: Path, other: Path, pairs: int, place: Path) -> tuple[str, ...]:
    """One row of the table: medians of both, the ratio with its interval, the wall ratio."""
    found: dict[Path, list[Cost]] = {here: [], other: []}
    for pair in range(-1, pairs):
        for checkout in (here, other) if pair % 2 else (other, here):
            measured = cost(row, checkout, place)
            if pair >= 0:  # the first pair writes bytecode, and does not count
                found[checkout].append(measured)
    both = list(zip(found[here], found[other], strict=True))
    ratios = [mine.cpu / its.cpu for mine, its in both]
    low, high = interval(ratios)
    return (
        row.name,
        f"{row.tasks:,}",
        f"{statistics.median(c.cpu for c in found[here]) * 1e6:,.1f}",
        f"{statistics.median(c.cpu for c in found[other]) * 1e6:,.1f}",
        f"{statistics.median(ratios):.3f}",
        f"{low:.3f}-{high:.3f}",
        f"{statistics.median(mine.wall / its.wall for mine, its in both):.3f}",
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/compare.py", description=__doc__)
    parser.add_argument("other", type=Path, metavar="OTHER")
    parser.add_argument("--pairs", type=int, default=15, help="at least 6 (default 15)")
    parser.add_argument("--only", action="append", choices=[row.name for row in ROWS])
    chosen = parser.parse_args(arguments)
    if chosen.pairs < 6:
        parser.error("--pairs: at least 6, or the interval says nothing")
    columns = ("row", "tasks", "us a task here", "there", "ratio", "95 % interval", "wall ratio")
    table = Table(f"CPU a task, {chosen.pairs} interleaved pairs", columns)
    with tempfile.TemporaryDirectory(prefix="hyper-shell-bench-") as name:
        place = Path(name)
        (place / "recorder").mkdir()
        (place / "recorder" / "sitecustomize.py").write_text(RECORDER)
        for row in ROWS:
            if row.name in (chosen.only or [r.name for r in ROWS]):
                found = compare(row, farm.ROOT, chosen.other.resolve(), chosen.pairs, place)
                print("  ".join(found), file=sys.stderr, flush=True)
                table.rows.append(found)
    print(render(table))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
