"""How many tasks a second the server hands out and takes back when running them costs nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import farm
import processes
from contestants import write_lines
from processes import RunFailed
from settings import Settings
from tables import Figure, Report, Table, median, number, spread

LIMIT = 40_000.0
HEADLINE = 100  # tasks in a message; about what short tasks lead a real client to ask for
TIMEOUT_SECONDS = 120.0
NOTES = """\
- A real server reads the lines from a file; the client is ``benchmarks/noop_client.py``, one
  connection, encrypted, every outcome accepted before the next tasks are asked for.
- Timed from the first task that the client gets to the last outcome that the server has accepted;
  CPU of the whole of both processes, their start included.
"""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """One run: tasks a second, and microseconds of CPU a task."""

    rate: float
    server_us: float
    client_us: float


def measure(settings: Settings) -> Report:
    if missing := farm.missing():
        return Report(skipped=[missing])
    report = Report()
    tasks = settings.some(200_000, 40_000)
    lines = write_lines(settings.place / "lines", "true", tasks)
    found: dict[int, list[Dispatched]] = {10: [], HEADLINE: [], 1000: []}
    for _ in range(settings.rounds):
        for want, runs in found.items():
            try:
                runs.append(_run(settings.place, lines, tasks if want > 10 else tasks // 4, want))
            except RunFailed as error:
                report.skipped.append(str(error))
                print(f"  {error}", file=sys.stderr, flush=True)
    columns = ("tasks in a message", "tasks/s", "low-high", "server us/task", "client us/task")
    table = Table(f"Dispatch: {tasks:,} tasks that run nothing, one client", columns)
    for want, runs in found.items():
        if runs:
            table.rows.append(_row(want, runs))
    report.tables.append(table)
    if found[HEADLINE]:
        rate = median([run.rate for run in found[HEADLINE]])
        report.figures.append(Figure("dispatch, one client", rate, LIMIT, "tasks/s", at_most=False))
    return report


def _row(want: int, runs: list[Dispatched]) -> tuple[str, ...]:
    rates = [run.rate for run in runs]
    return (
        f"up to {want}",
        number(median(rates)),
        spread(rates, "{:,.0f}"),
        f"{median([run.server_us for run in runs]):.1f}",
        f"{median([run.client_us for run in runs]):.1f}",
    )


def noop_client(own: farm.Farm, want: int, answer: Path) -> processes.Process:
    """Start the client; what it prints goes to `answer`."""
    script = str(Path(__file__).with_name("noop_client.py"))
    command = [sys.executable, script, str(own.port), str(want)]
    with answer.open("wb") as stdout:
        return processes.start("noop", command, own.directory, own.environment(), stdout=stdout)


def _run(place: Path, lines: Path, tasks: int, want: int) -> Dispatched:
    own = farm.Farm(place)
    if tasks < sum(1 for _ in lines.open("rb")):
        lines = write_lines(place / "fewer-lines", "true", tasks)
    answer = place / "noop.json"
    with processes.ending([own.start_server(lines), noop_client(own, want, answer)]) as both:
        processes.wait_all(both, TIMEOUT_SECONDS)
    said = json.loads(answer.read_text())
    if said["tasks"] != tasks:
        raise RunFailed(f"the client was given {said['tasks']} tasks of {tasks}")
    server_us, client_us = (process.cpu / tasks * 1e6 for process in both)
    return Dispatched(tasks / said["seconds"], server_us, client_us)
