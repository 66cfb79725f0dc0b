"""A server with many clients that wait: is work still given at once, and what does it hold?"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import farm
import processes
from latency import PAUSE_SECONDS
from processes import Process, RunFailed, cpu_seconds, memory_mb
from settings import Settings
from tables import Figure, Report, Table, median

LIMIT_MS = 50.0
JOIN_SECONDS = 120.0
IDLE_SECONDS = 5.0
NOTES = """\
- The clients are threads of one process, each with its own encrypted connection, parked in a
  request for work (``benchmarks/idle_swarm.py``).
- ``a take`` runs from a line on the server's stdin to the moment a parked client has the task.
- ``CPU, idle`` is the server's share of one core while nothing happens.
"""


def measure(settings: Settings) -> Report:
    if missing := farm.missing():
        return Report(skipped=[missing])
    report = Report()
    columns = (
        "clients",
        "joined in, s",
        "a take, median ms",
        "worst ms",
        "server MB",
        "kB a client",
        "CPU, idle",
        "threads",
    )
    table = Table("Idle clients", columns)
    report.tables.append(table)
    before = 0.0
    many = settings.some(500, 100)
    for clients in (1, many):
        try:
            found = _crowd(settings, clients)
        except RunFailed as error:
            report.skipped.append(f"{clients} clients: {error}")
            continue
        table.rows.append(found.row(before))
        before = before or found.megabytes
        if clients == many:
            name = f"a take with {many} idle clients"
            report.figures.append(Figure(f"{name}, median", median(found.takes), LIMIT_MS, "ms"))
            report.figures.append(Figure(f"{name}, worst", max(found.takes), LIMIT_MS, "ms"))
    return report


class Crowd:
    """What was found with so many clients."""

    def __init__(self, clients: int, joined_seconds: float) -> None:
        self.clients = clients
        self.joined_seconds = joined_seconds
        self.megabytes = 0.0
        self.threads = 0
        self.idle_cpu = 0.0
        self.takes: list[float] = []

    def row(self, before: float) -> tuple[str, ...]:
        each = (self.megabytes - before) * 1000 / (self.clients - 1) if before else 0.0
        return (
            str(self.clients),
            f"{self.joined_seconds:.1f}",
            f"{median(self.takes):.1f}",
            f"{max(self.takes):.1f}",
            f"{self.megabytes:.1f}",
            f"{each:.0f}" if each else "-",
            f"{self.idle_cpu:.1%}",
            str(self.threads),
        )


def _crowd(settings: Settings, clients: int) -> Crowd:
    own = farm.Farm(settings.place)
    server = own.start_server("-", stdin=subprocess.PIPE)
    script = str(Path(__file__).with_name("idle_swarm.py"))
    command = [sys.executable, script, str(own.port), str(clients)]
    with processes.ending([server]) as both:
        pipe = subprocess.PIPE
        environment = own.environment()
        both.append(processes.start("swarm", command, own.directory, environment, stdout=pipe))
        found = Crowd(clients, float(_word(both[1], "joined", JOIN_SECONDS)))
        began = cpu_seconds(server.pid)
        time.sleep(IDLE_SECONDS)
        found.idle_cpu = (cpu_seconds(server.pid) - began) / IDLE_SECONDS
        for _ in range(settings.some(100, 20)):
            time.sleep(PAUSE_SECONDS)
            found.takes.append(_take(server, both[1]))
        found.megabytes = memory_mb(server.pid)
        found.threads = len(os.listdir(f"/proc/{server.pid}/task"))
        assert server.popen.stdin is not None
        server.popen.stdin.close()
        processes.wait_all(both, JOIN_SECONDS)
    return found


def _take(server: Process, swarm: Process) -> float:
    """Milliseconds from a line to the client that has it."""
    assert server.popen.stdin is not None
    began = time.perf_counter()
    os.write(server.popen.stdin.fileno(), b"true\n")
    return (float(_word(swarm, "took", 20.0)) - began) * 1000


def _word(swarm: Process, expected: str, timeout_seconds: float) -> str:
    """What the swarm says next, which must be `expected`."""
    assert swarm.popen.stdout is not None
    line = processes.read_line(swarm.popen.stdout, timeout_seconds)
    word, _, rest = line.partition(" ")
    if word != expected:
        raise RunFailed(f"the clients said {line!r}, not {expected!r}")
    return rest
