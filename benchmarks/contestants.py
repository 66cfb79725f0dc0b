"""Who runs a file of lines, and how: each one's fastest way that keeps what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import farm
import peers
import processes
from peers import Peer
from processes import Process, RunFailed


@dataclass(frozen=True, slots=True)
class Launch:
    """One process to start; `stdin` is a file, if it is to read one."""

    name: str
    command: list[str]
    environment: dict[str, str]
    stdin: Path | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: wall time and all CPU, and who used it (seconds; own is without the tasks)."""

    tasks: int
    seconds: float
    cpu: float
    own: dict[str, float]

    @property
    def rate(self) -> float:
        return self.tasks / self.seconds

    def per_task_us(self, seconds: float) -> float:
        return seconds / self.tasks * 1e6


@dataclass(frozen=True, slots=True)
class Contestant:
    """`share` is the part of a workload it gets, so that a slow one does not hold up the round."""

    name: str
    launches: Callable[[Path, Path, int], list[Launch]]
    peer: Peer | None = None
    share: float = 1.0
    shows_output: bool = True

    def missing(self) -> str:
        if self.peer is None:
            return farm.missing()
        return "" if self.peer.path() else self.peer.missing()

    def run(self, place: Path, lines: Path, tasks: int, slots: int, timeout: float) -> Measured:
        """Run `lines` and wait until all of it has ended. Raises RunFailed."""
        started: list[Process] = []
        output = place / "output"
        with processes.ending(started), output.open("wb") as stdout:
            for launch in self.launches(place, lines, slots):
                started.append(_start(launch, place, stdout.fileno()))
            processes.wait_all(started, timeout)
        if self.shows_output:
            _check_output(self.name, lines, output, tasks)
        seconds = max(process.ended for process in started) - started[0].started
        own = {process.name: process.own() for process in started}
        return Measured(tasks, seconds, sum(process.cpu for process in started), own)


def _start(launch: Launch, place: Path, stdout: int) -> Process:
    if launch.stdin is None:
        return processes.start(
            launch.name, launch.command, place, launch.environment, stdout=stdout
        )
    with launch.stdin.open("rb") as stdin:
        return processes.start(
            launch.name, launch.command, place, launch.environment, stdin=stdin, stdout=stdout
        )


def _check_output(name: str, lines: Path, output: Path, tasks: int) -> None:
    """Lines that print must have printed, each once: nobody is measured for work not done."""
    with lines.open("rb") as source:
        wanted = tasks if source.readline().startswith(b"echo ") else 0
    printed = output.read_bytes().count(b"\n")
    if printed != wanted:
        raise RunFailed(f"{name} printed {printed} lines, not {wanted}")


def _xargs(place: Path, lines: Path, slots: int) -> list[Launch]:
    command = ["xargs", "-P", str(slots), "-d", "\\n", "-n1", "sh", "-c"]
    return [Launch("xargs", command, farm.clean_environment(place), lines)]


def _parallel(place: Path, lines: Path, slots: int) -> list[Launch]:
    environment = farm.clean_environment(place) | {"PARALLEL_SHELL": "/bin/sh"}
    return [Launch("parallel", ["parallel", "-j", str(slots)], environment, lines)]


def _hypershell(place: Path, lines: Path, slots: int) -> list[Launch]:
    environment = farm.clean_environment(place) | {
        "HYPERSHELL_SITE": str(place / "hypershell-site"),
        "HYPERSHELL_LOGGING_LEVEL": "WARNING",
    }
    program = str(peers.HYPERSHELL.path())
    options = ["-N", str(slots), "--no-db", "-b", "100", "-p", str(farm.free_port())]
    return [Launch("hsx", [program, *options, str(lines)], environment)]


def _hyperqueue(place: Path, lines: Path, slots: int) -> list[Launch]:
    script = Path(__file__).with_name("hyperqueue_peer.py")
    command = [str(peers.HYPERQUEUE.path()), str(script), str(lines), str(slots)]
    return [Launch("hyperqueue", command, farm.clean_environment(place))]


def _ours(place: Path, lines: Path, slots: int) -> list[Launch]:
    own = farm.Farm(place)
    return [
        Launch("server", own.server(lines), own.environment()),
        Launch("client", own.client(slots), own.environment()),
    ]


def _ours_cluster(place: Path, lines: Path, slots: int) -> list[Launch]:
    own = farm.Farm(place)
    return [Launch("cluster", own.cluster(lines, slots), own.environment())]


def _ours_sqlite(place: Path, lines: Path, slots: int) -> list[Launch]:
    own = farm.Farm(place, keeps=True)
    own.begin_empty()
    return [
        Launch("server", own.server(lines), own.environment()),
        Launch("client", own.client(slots), own.environment()),
    ]


REFERENCE = Contestant("xargs sh -c", _xargs, peers.XARGS)
SERVER_AND_CLIENT = Contestant("ours, server + client", _ours)
SERVER_AND_CLIENT_SQLITE = Contestant("ours, SQLite", _ours_sqlite)
CLUSTER = Contestant("ours, cluster", _ours_cluster)
CONTESTANTS = (
    REFERENCE,
    Contestant("GNU parallel", _parallel, peers.PARALLEL, share=0.2),
    Contestant("HyperShell 2.8.2", _hypershell, peers.HYPERSHELL, share=0.3),
    Contestant("HyperQueue 0.27", _hyperqueue, peers.HYPERQUEUE, share=0.3, shows_output=False),
    SERVER_AND_CLIENT,
    CLUSTER,
)


def present(contestants: tuple[Contestant, ...]) -> tuple[list[Contestant], list[str]]:
    """Those that can run here, and what to say about the others."""
    reasons = {contestant.name: contestant.missing() for contestant in contestants}
    here = [contestant for contestant in contestants if not reasons[contestant.name]]
    return here, list(dict.fromkeys(reason for reason in reasons.values() if reason))


def write_lines(path: Path, line: str, count: int) -> Path:
    path.write_text(f"{line}\n" * count)
    return path
