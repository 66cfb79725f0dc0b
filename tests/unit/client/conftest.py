"""Fixtures for the tests of the client: real tasks in this process, and where they print."""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.executor import Executor
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.processes import SystemProcesses
from hypershell.client.tasks.shell import DEFAULT_SHELL
from hypershell.client.tasks.spawn import Child, Spawner, reap
from hypershell.client.tasks.watch import SignalWatch, Watch, best_watch
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from tests.helpers.waiting import until

PROMPT = 10.0

CLIENT_ID = f"c{os.getpid()}"
"""Of the tasks that are started here. What is left of a client is killed by its id, and tests run
side by side: each process of theirs has an id of its own.
"""
"""Seconds within which what needs no time has happened, on a machine that is busy."""


class RecordingBuffer(TaskBuffer):
    """A buffer that also notes what the executor left there."""

    def __init__(
        self, slots: int, wake: Callable[[], None], drained: Callable[[bool], None]
    ) -> None:
        super().__init__(slots, wake, drained)
        self.ended: list[Outcome] = []

    def put_outcomes(self, outcomes: list[Outcome]) -> None:
        """See TaskBuffer."""
        super().put_outcomes(outcomes)
        self.ended += outcomes


class Bench:
    """A buffer, an executor and an output, whose passes the test makes itself."""

    def __init__(self, folder: Path, watch: Watch, slots: int = 2, grace: float = 5.0) -> None:
        self.out_path, self.err_path = folder / "out", folder / "err"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._ends = [os.open(path, flags) for path in (self.out_path, self.err_path)]
        self.watch = watch
        self.drained: list[bool] = []
        self.buffer = RecordingBuffer(slots, watch.wake, self.drained.append)
        self.orders = Orders(watch.wake)
        self.output = Output(*self._ends, slots, self.orders.stopping)
        self.processes = SystemProcesses(Spawner(DEFAULT_SHELL, CLIENT_ID, "node1"))
        self.executor = Executor(
            slots, self.buffer, self.orders, self.processes, self.output, watch, grace
        )
        self._grace = grace
        self._task_id = 0

    def claim(self, *commands: bytes) -> None:
        """Put commands into the buffer."""
        claims = []
        for command in commands:
            self._task_id += 1
            claims.append(Claim(self._task_id, 1, 1, command))
        self.buffer.put_claims(claims)

    def run(self, *commands: bytes, seconds: float = PROMPT) -> list[Outcome]:
        """Run commands to their end; their outcomes, by task."""
        self.claim(*commands)
        return self.passes_until_ended(len(commands), seconds)

    def passes_until_ended(self, number: int, seconds: float = PROMPT) -> list[Outcome]:
        """Make passes until this number of tasks has ended; their outcomes, by task."""
        self.passes_until(lambda: len(self.buffer.ended) >= number, seconds)
        outcomes, self.buffer.ended = self.buffer.ended, []
        return sorted(outcomes)

    def stop(self, grace: float | None = None) -> None:
        """Stop all that runs, as the client does."""
        self.orders.stop(self._grace if grace is None else grace)

    def passes_until(self, condition: Callable[[], object], seconds: float = PROMPT) -> None:
        """Make passes until something is so; a pass that would wait too long is woken."""
        timer = threading.Timer(seconds, self._give_up)
        timer.daemon = True
        timer.start()
        self.late = False
        try:
            while not condition():
                assert not self.late, "it did not happen in time"
                self.executor.one_pass()
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        self.late = True
        self.watch.wake()

    @property
    def out(self) -> bytes:
        """What was printed to standard output."""
        return self.out_path.read_bytes()

    @property
    def err(self) -> bytes:
        """What was printed to standard error."""
        return self.err_path.read_bytes()

    def close(self) -> None:
        """End what runs and close all descriptors."""
        for child in self.executor.running():
            os.killpg(child.pid, signal.SIGKILL)
            reap(child)
        self.output.close()
        self.watch.close()
        for descriptor in self._ends:
            os.close(descriptor)


@pytest.fixture
def signal_watch() -> Iterator[SignalWatch]:
    """The watch for systems without pidfds, woken for children as a client does it."""
    watch = SignalWatch()
    before = signal.signal(signal.SIGCHLD, lambda *_: watch.wake())
    yield watch
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture(params=["pidfd", "signal"])
def watch(request) -> Watch:
    """Either watch: what runs on one gives the same on the other."""
    return best_watch() if request.param == "pidfd" else request.getfixturevalue("signal_watch")


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make a bench on a watch."""
    benches: list[Bench] = []

    def make(watch: Watch, **settings: float) -> Bench:
        benches.append(Bench(tmp_path, watch, **settings))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench) -> Bench:
    """A bench of two slots on the watch of this system."""
    return make_bench(best_watch())


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[[bytes], Child]]:
    """Start a command as a task and nothing else; what it prints is in the file `out`."""
    spawner = Spawner(DEFAULT_SHELL, CLIENT_ID, "node1")
    children: list[Child] = []
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def start(command: bytes) -> Child:
        children.append(spawner.spawn(Claim(7, 1, 2, command, number=12), 3, out, out))
        return children[-1]

    yield start
    for child in children:
        try:
            os.killpg(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        except (ChildProcessError, ProcessLookupError):
            pass
    os.close(out)


def state_of(pid: int) -> str:
    """The state letter of a process; nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def wait_until_readable(descriptor: int) -> None:
    """Wait until a pipe has something."""
    until(lambda: select.select([descriptor], [], [], 0)[0], PROMPT, "the pipe has something")
