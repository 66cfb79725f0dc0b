"""How long things take on a farm with nothing to do: a start, an end, a run of one task."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import farm
import processes
from contestants import CLUSTER, SERVER_AND_CLIENT, Contestant, write_lines
from processes import Process, RunFailed
from settings import Settings
from tables import Figure, Report, Table, median

START_LIMIT_MS = 5.0
END_LIMIT_MS = 150.0
ONE_LIMIT_SECONDS = 0.6
PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.03
NOTES = """\
- A task shows that it runs by writing to a FIFO that the harness reads, so ``line to start``
  holds the start of a shell, too; ``sh -c alone``, started by the harness in turn with it, is
  that part.
- ``last task to exit`` runs from the last task's own last word to the end of the process, input
  closed before: the outcome, its way to the server and the end of the run.
- A run of one ``true`` is timed from nothing running to all processes gone.
"""


def measure(settings: Settings) -> Report:
    if missing := farm.missing():
        return Report(skipped=[missing])
    report = Report()
    table = Table("Latency", ("what", "median, ms", "best", "worst", "samples"))
    report.tables.append(table)
    for what in (_starts, _ends, _runs_of_one, _runs_of_one_cluster):
        try:
            found = what(settings)
        except RunFailed as error:
            report.skipped.append(str(error))
            continue
        for name, (samples, limit) in found.items():
            low, high, count = min(samples), max(samples), str(len(samples))
            row = (name, f"{median(samples):.1f}", f"{low:.1f}", f"{high:.1f}", count)
            table.rows.append(row)
            if limit:
                report.figures.append(Figure(f"{name}, median", median(samples), limit, "ms"))
    return report


Found = dict[str, tuple[list[float], float]]
"""By what was measured: samples in ms and the limit to reach, 0 for none."""


class Bell:
    """A FIFO that tasks ring."""

    def __init__(self, place: Path) -> None:
        self.path = place / "bell"
        os.mkfifo(self.path)
        # Open for both, so that it never reads as ended between two tasks.
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self._watched: dict[int, Process] = {}

    def watch(self, process: Process) -> None:
        """Wait no more once this process has ended."""
        self._watched[process.pidfd] = process
        self._poll.register(process.pidfd, select.POLLIN)

    def line(self, before: str = "") -> str:
        return f"{before}echo >{self.path}"

    def wait(self) -> float:
        """When it rang. Raises RunFailed."""
        ready = [fd for fd, _ in self._poll.poll(PATIENCE_SECONDS * 1000)]
        rang = time.perf_counter()
        if self.fd in ready:
            os.read(self.fd, 4096)
            return rang
        for fd in ready:
            self._watched[fd].collect()
            raise RunFailed(self._watched[fd].complaint())
        raise RunFailed(f"no task was started within {PATIENCE_SECONDS:.0f} s")


@contextlib.contextmanager
def bell(place: Path) -> Iterator[Bell]:
    made = Bell(place)
    try:
        yield made
    finally:
        os.close(made.fd)
        made.path.unlink()


def _starts(settings: Settings) -> Found:
    """From a line on the server's stdin to its start, and the same line without a farm."""
    ours: list[float] = []
    floor: list[float] = []
    later: list[float] = []
    own = farm.Farm(settings.place)
    server = own.start_server("-", stdin=subprocess.PIPE)
    with bell(settings.place) as ring, processes.ending([server]) as both:
        both.append(own.start_client(2))
        for process in both:
            ring.watch(process)
        _ring(server, ring)
        for _ in range(settings.some(100, 20)):
            time.sleep(PAUSE_SECONDS)
            ours.append(_ring(server, ring))
            time.sleep(PAUSE_SECONDS)
            floor.append(_ring_alone(ring))
        for _ in range(settings.some(3, 0)):
            time.sleep(10)
            later.append(_ring(server, ring))
        _close(server)
        processes.wait_all(both, PATIENCE_SECONDS)
    found: Found = {
        "line to start, idle farm": (ours, START_LIMIT_MS),
        "sh -c alone": (floor, 0),
    }
    return found | ({"line to start, 10 s of silence before": (later, 0)} if later else {})


def _ring(server: Process, ring: Bell) -> float:
    assert server.popen.stdin is not None
    began = time.perf_counter()
    os.write(server.popen.stdin.fileno(), ring.line().encode() + b"\n")
    return (ring.wait() - began) * 1000


def _ring_alone(ring: Bell) -> float:
    began = time.perf_counter()
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", ring.line()], os.environ)
    rang = ring.wait()
    os.waitpid(pid, 0)
    return (rang - began) * 1000


def _close(server: Process) -> None:
    assert server.popen.stdin is not None
    server.popen.stdin.close()


def _ends(settings: Settings) -> Found:
    """From the last task's last word to the end of server and client."""
    servers: list[float] = []
    clients: list[float] = []
    for _ in range(settings.some(10, 3)):
        own = farm.Farm(settings.place)
        with bell(settings.place) as ring:
            lines = write_lines(settings.place / "lines", ring.line("sleep 0.3; "), 1)
            with processes.ending([own.start_server(lines), own.start_client(2)]) as both:
                for process in both:
                    ring.watch(process)
                rang = ring.wait()
                processes.wait_all(both, PATIENCE_SECONDS)
        servers.append((both[0].ended - rang) * 1000)
        clients.append((both[1].ended - rang) * 1000)
    return {
        "last task to server's exit": (servers, END_LIMIT_MS),
        "last task to client's exit": (clients, 0),
    }


def _runs_of_one(settings: Settings) -> Found:
    return _runs_of(SERVER_AND_CLIENT, settings)


def _runs_of_one_cluster(settings: Settings) -> Found:
    return _runs_of(CLUSTER, settings)


def _runs_of(who: Contestant, settings: Settings) -> Found:
    lines = write_lines(settings.place / "lines", "true", 1)
    runs = [
        who.run(settings.place, lines, 1, 2, PATIENCE_SECONDS).seconds * 1000
        for _ in range(settings.some(10, 3))
    ]
    return {f"run of one true, {who.name}": (runs, ONE_LIMIT_SECONDS * 1000)}
