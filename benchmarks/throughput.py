"""Tasks per second and CPU per task, interleaved with everyone else's.

In each round every contestant takes its turn at the same lines, in an order that changes from
round to round; a ratio is taken against xargs in the same round, and the median of those counts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from contestants import (
    CLUSTER,
    CONTESTANTS,
    REFERENCE,
    SERVER_AND_CLIENT,
    Contestant,
    Measured,
    present,
    write_lines,
)
from processes import RunFailed
from settings import Settings
from tables import Figure, Report, Table, median, number, spread

TIMEOUT_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Workload:
    """`count` times one line; `even` gives slow contestants as many as the others."""

    name: str
    line: str
    count: int
    even: bool = False

    def tasks(self, contestant: Contestant, settings: Settings) -> int:
        share = 1.0 if self.even else contestant.share
        return max(1, round(self.count * share * (0.5 if settings.quick else 1.0)))


ONE = Workload("one true", "true", 1, even=True)
# As many for everyone: here a run's fixed cost weighs the same on each.
ALIKE = Workload("true, 3,000 each", "true", 3_000, even=True)
WORKLOADS = (
    ALIKE,
    Workload("true", "true", 10_000),
    Workload("/bin/true", "/bin/true", 10_000),
    Workload("echo hello", "echo hello", 10_000),
    Workload("sleep 0.01", "sleep 0.01", 1_000, even=True),
    Workload("sleep 0.1", "sleep 0.1", 100, even=True),
)
ABOVE = {"HyperShell 2.8.2": 5.0, "GNU parallel": 6.0, "HyperQueue 0.27": 4.0}
Results = dict[str, list[Measured]]


def measure(settings: Settings) -> Report:
    contestants, missing = present(CONTESTANTS)
    report = Report(skipped=missing)
    for slots in settings.slots:
        once = rounds(ONE, slots, contestants, settings, report)
        contestants = [contestant for contestant in contestants if once.get(contestant.name)]
        for workload in WORKLOADS:
            found = rounds(workload, slots, contestants, settings, report)
            report.tables.append(_table(workload, slots, found, once))
            if slots == 2:
                report.figures += _figures(workload, found)
    return report


def rounds(
    workload: Workload,
    slots: int,
    contestants: list[Contestant],
    settings: Settings,
    report: Report,
) -> Results:
    """Every contestant's runs, one a round. One that fails is named and sits out the rest."""
    found: Results = {contestant.name: [] for contestant in contestants}
    for number_of_round in range(settings.rounds):
        for contestant in _turns([c for c in contestants if c.name in found], number_of_round):
            tasks = workload.tasks(contestant, settings)
            lines = write_lines(settings.place / "lines", workload.line, tasks)
            try:
                done = contestant.run(settings.place, lines, tasks, slots, TIMEOUT_SECONDS)
            except RunFailed as error:
                del found[contestant.name]
                report.skipped.append(f"{contestant.name}, {workload.name}, -N {slots}: {error}")
                print(f"  {report.skipped[-1]}", file=sys.stderr, flush=True)
                continue
            found[contestant.name].append(done)
            text = f"  -N {slots}  {workload.name:<18}{contestant.name:<24}{done.seconds:7.2f} s"
            print(f"{text}{done.rate:10,.0f}/s", file=sys.stderr, flush=True)
    return found


def _turns(contestants: list[Contestant], number_of_round: int) -> Iterator[Contestant]:
    shift = number_of_round % len(contestants) if contestants else 0
    yield from contestants[shift:] + contestants[:shift]


def ratios_of(found: Results, name: str, other: str = REFERENCE.name) -> list[float]:
    pairs = zip(found.get(name, []), found.get(other, []), strict=False)
    return [mine.rate / its.rate for mine, its in pairs]


def _table(workload: Workload, slots: int, found: Results, once: Results) -> Table:
    table = Table(
        f"Throughput: {workload.name}, -N {slots}",
        (
            "contestant",
            "tasks",
            "seconds",
            "tasks/s",
            "to xargs",
            "low-high",
            "one task, s",
            "net to xargs",
            "CPU us/task",
            "server us",
            "client us",
        ),
    )
    for name, runs in found.items():
        ratios = ratios_of(found, name)
        table.rows.append(
            (
                name,
                f"{runs[0].tasks:,}",
                number(median([run.seconds for run in runs])),
                number(median([run.rate for run in runs])),
                f"{median(ratios):.2f}" if ratios else "-",
                spread(ratios, "{:.2f}") if ratios else "-",
                number(median([run.seconds for run in once[name]])) if once.get(name) else "-",
                _net_ratio(found, once, name),
                f"{median([run.per_task_us(run.cpu) for run in runs]):,.0f}",
                _own(runs, "server"),
                _own(runs, "client", "cluster"),
            )
        )
    return table


def _net_ratio(found: Results, once: Results, name: str) -> str:
    """Rate against xargs with a one-task run's time taken off both, where enough is left."""
    rates = []
    for who in (name, REFERENCE.name):
        if not found.get(who) or not once.get(who):
            return "-"
        fixed = median([run.seconds for run in once[who]])
        left = median([run.seconds for run in found[who]]) - fixed
        if left < fixed:
            return "-"
        rates.append((found[who][0].tasks - 1) / left)
    return f"{rates[0] / rates[1]:.2f}"


def _own(runs: list[Measured], *names: str) -> str:
    """CPU per task that these processes used themselves, their tasks' left out."""
    for name in names:
        if name in runs[0].own:
            return f"{median([run.per_task_us(run.own[name]) for run in runs]):,.0f}"
    return "-"


def _figures(workload: Workload, found: Results) -> list[Figure]:
    ours = SERVER_AND_CLIENT.name
    least = {"true": 1.1, "/bin/true": 1.6}.get(workload.name)
    figures = []
    for name in (ours, CLUSTER.name):
        if least and (ratios := ratios_of(found, name)):
            text = f"{workload.name}, {name}, against xargs"
            figures.append(Figure(text, median(ratios), least, "x", at_most=False))
    for name, times in ABOVE.items():
        if workload is ALIKE and (ratios := ratios_of(found, ours, name)):
            text = f"{workload.name}, {ours}, against {name}"
            figures.append(Figure(text, median(ratios), times, "x", at_most=False))
    return figures


NOTES = """\
- A run is timed from the start of its first process to the end of its last: starting up and
  ending count. ``one task, s`` is a run of one ``true``, the part that does not grow.
- In each round every contestant takes its turn; a ratio is taken within a round, and the median
  of the rounds is told. ``low-high`` are the ratios of single rounds.
- Slow contestants get fewer tasks so that a round takes seconds; rates are compared. With fewer
  tasks the fixed part weighs more: ``net to xargs`` leaves it out on both sides, and
  ``true, 3,000 each`` gives everyone the same number.
- CPU is all CPU of all processes, the tasks' included; ``server`` and ``client`` is what these
  used themselves (for ``cluster``: both together), read ten times a second.
- HyperQueue's wait for a job looks once a second, which may cost it up to one second a run. Its
  server and worker are in one process, without journal and output files.
- HyperShell's ``hsx -N --no-db -b100`` is its fastest; it notices the end of a run by polling.
- ``echo hello`` writes to one file, and whoever's lines are not all there is not counted
  (HyperQueue runs without output).
"""
