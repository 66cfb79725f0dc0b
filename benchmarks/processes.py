"""Starting what is measured, waiting for it, and what it used: CPU from `wait4`, memory and own
CPU from `/proc`. Every process is its own group and none outlives the harness."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.1


class RunFailed(Exception):
    """What was started ended badly, or not in time."""


@dataclass(slots=True)
class Process:
    """A started program: afterwards when it ended, with what, and the CPU it and its children used.

    `own_cpu` holds, for each long-lived process of its tree, the CPU seconds that process used
    itself when it was last looked at; what is left of `cpu` went to the short-lived: the tasks.
    """

    name: str
    popen: subprocess.Popen[bytes]
    started: float
    log: Path
    pidfd: int = -1
    ended: float = 0.0
    status: int | None = None
    cpu: float = 0.0
    own_cpu: dict[int, float] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def wall(self) -> float:
        return self.ended - self.started

    def collect(self) -> None:
        """Reap it. Blocks until it has ended."""
        _, status, usage = os.wait4(self.pid, 0)
        self.ended = time.perf_counter()
        self.status = os.waitstatus_to_exitcode(status)
        self.popen.returncode = self.status
        self.cpu = usage.ru_utime + usage.ru_stime
        os.close(self.pidfd)

    def sample(self) -> None:
        """Note the CPU of every process of the tree that was there at the last look, too."""
        alive = set(tree(self.pid))
        for pid in alive & self.seen:
            with contextlib.suppress(OSError):
                self.own_cpu[pid] = cpu_seconds(pid)
        self.seen = alive

    def own(self) -> float:
        return min(self.cpu, sum(self.own_cpu.values()))

    def kill(self) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.collect()

    def complaint(self) -> str:
        """The last lines it wrote to stderr."""
        text = self.log.read_text(errors="replace").strip().splitlines()[-4:]
        return f"{self.name} ended with {self.status}: " + " / ".join(text)


def start(
    name: str,
    command: Sequence[str],
    directory: Path,
    environment: dict[str, str],
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = subprocess.DEVNULL,
) -> Process:
    """Start `command` in a session of its own; its stderr goes to `directory/name.log`."""
    log = directory / f"{name}.log"
    with log.open("wb") as stderr:
        started = time.perf_counter()
        popen = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    return Process(name, popen, started, log, pidfd=os.pidfd_open(popen.pid))


def wait_all(
    processes: Sequence[Process],
    timeout_seconds: float,
    at_sample: Callable[[], None] | None = None,
    sample_seconds: float = SAMPLE_SECONDS,
) -> None:
    """Reap all of `processes`, each at the moment it ends.

    Raises RunFailed, after killing the rest, when one ends with another status than 0 or when the
    time is over.
    """
    waiting = {process.pidfd: process for process in processes if process.status is None}
    poll = select.poll()
    for pidfd in waiting:
        poll.register(pidfd, select.POLLIN)
    deadline = time.perf_counter() + timeout_seconds
    try:
        while waiting:
            for pidfd, _ in poll.poll(sample_seconds * 1000):
                poll.unregister(pidfd)
                process = waiting.pop(pidfd)
                process.collect()
                if process.status != 0:
                    raise RunFailed(process.complaint())
            for process in waiting.values():
                process.sample()
            if at_sample is not None:
                at_sample()
            if time.perf_counter() > deadline:
                names = ", ".join(process.name for process in waiting.values())
                raise RunFailed(f"{names}: not done after {timeout_seconds:.0f} s")
    except BaseException:
        kill_all(processes)
        raise


def kill_all(processes: Sequence[Process]) -> None:
    for process in processes:
        process.kill()


@contextlib.contextmanager
def ending(processes: list[Process]) -> Iterator[list[Process]]:
    """Kill, at the end of the block, what of `processes` is still there."""
    try:
        yield processes
    finally:
        kill_all(processes)


def read_line(stream: IO[bytes], timeout_seconds: float) -> str:
    """The next line of a pipe that is read by nobody else and one line at a time."""
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLIN | select.POLLHUP)
    if not poll.poll(timeout_seconds * 1000):
        raise RunFailed(f"nothing was said for {timeout_seconds:.0f} s")
    return stream.readline().decode().strip()


def tree(pid: int) -> Iterator[int]:
    """The process and all its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            for child in children.split():
                yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, without its children."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """`VmRSS` (now) or `VmHWM` (the most so far) of a process in MB of 10^6 bytes; 0 if gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0
