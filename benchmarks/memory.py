"""What server and client hold in memory while a million lines go through."""

from __future__ import annotations

import time
from pathlib import Path

import farm
import processes
from contestants import write_lines
from dispatch import noop_client
from processes import Process, RunFailed, memory_mb
from settings import Settings
from tables import Figure, Report, Table

LIMIT_MB = 80.0
ALONE_SECONDS = 3.0
TIMEOUT_SECONDS = 300.0
PARTS = (0.1, 0.25, 0.5, 0.75, 0.95)
NOTES = """\
- Resident memory from ``/proc`` in MB of 10^6 bytes, looked at five times a second; a client is
  the sum of its processes, its tasks left out.
- The server of the million lines first waits for a client for three seconds (``alone``): it must
  not read all of its input meanwhile. Its client runs nothing (``benchmarks/noop_client.py``).
- ``growth`` is the most in the second half of the run over the most in its first half.
"""


def measure(settings: Settings) -> Report:
    if missing := farm.missing():
        return Report(skipped=[missing])
    report = Report()
    columns = ("process", "lines", "alone", *(f"{part:.0%}" for part in PARTS), "peak", "growth")
    table = Table("Memory, MB, at parts of the run", columns)
    report.tables.append(table)
    try:
        lines = settings.some(1_000_000, 100_000)
        server, noop = _many_lines(settings.place, lines)
        table.rows.append(_row("server", lines, server))
        table.rows.append(_row("client that runs nothing", lines, noop))
        peak = max(server.samples, default=0.0)
        report.figures.append(Figure(f"server memory, {lines:,} lines", peak, LIMIT_MB, "MB"))
        report.figures.append(Figure("server memory, growth", server.growth(), 1.05, "x"))
        lines = settings.some(20_000, 2_000)
        server, client = _real_run(settings.place, lines)
        table.rows.append(_row("server, tasks are run", lines, server))
        table.rows.append(_row("client -N 2, tasks are run", lines, client))
    except RunFailed as error:
        report.skipped.append(str(error))
    return report


class Watched:
    """One process tree and its memory over time: before there was a client, and afterwards."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.alone = 0.0
        self.samples: list[float] = []

    def look(self) -> None:
        # Of the tree only what was there at the look before as well: not the tasks.
        if self.process.status is None:
            members = [pid for pid in processes.tree(self.process.pid) if pid in self._long_lived()]
            if now := sum(memory_mb(pid) for pid in members):
                self.samples.append(now)

    def _long_lived(self) -> set[int]:
        return {self.process.pid, *self.process.own_cpu}

    def at(self, part: float) -> float:
        return self.samples[round(part * (len(self.samples) - 1))] if self.samples else 0.0

    def growth(self) -> float:
        half = len(self.samples) // 2
        return max(self.samples[half:]) / max(self.samples[:half]) if half else 0.0


def _many_lines(place: Path, count: int) -> tuple[Watched, Watched]:
    lines = place / "million"
    with lines.open("w") as out:
        for number in range(count):
            out.write(f"./simulate --case {number:07d} --input data/{number:07d}.dat\n")
    own = farm.Farm(place)
    with processes.ending([own.start_server(lines)]) as both:
        server = Watched(both[0])
        _left_alone(server)
        both.append(noop_client(own, 100, place / "noop.json"))
        client = Watched(both[1])
        _watch(server, client)
    lines.unlink()
    return server, client


def _left_alone(server: Watched) -> None:
    """Let the server wait for its client, and note its memory then."""
    time.sleep(ALONE_SECONDS)
    server.alone = memory_mb(server.process.pid)
    if not server.alone:
        server.process.kill()
        raise RunFailed(server.process.complaint())


def _real_run(place: Path, count: int) -> tuple[Watched, Watched]:
    lines = write_lines(place / "lines", "true", count)
    own = farm.Farm(place)
    with processes.ending([own.start_server(lines), own.start_client(2)]) as both:
        server, client = Watched(both[0]), Watched(both[1])
        _watch(server, client)
    return server, client


def _watch(server: Watched, client: Watched) -> None:
    def look() -> None:
        server.look()
        client.look()

    processes.wait_all([server.process, client.process], TIMEOUT_SECONDS, look, 0.2)


def _row(name: str, lines: int, watched: Watched) -> tuple[str, ...]:
    parts = [f"{watched.at(part):.1f}" for part in PARTS]
    alone = f"{watched.alone:.1f}" if watched.alone else "-"
    peak = f"{max(watched.samples, default=0.0):.1f}"
    return (name, f"{lines:,}", alone, *parts, peak, f"{watched.growth():.2f}")
