"""The processes of tasks in a simulated machine, and what the executor sees of them.

What a task does is decided by its line and the number of the attempt: how long it runs, how it
ends, whether it heeds TERM, whether it leaves something in the background, whether it kills its
client. `Running` knows all that lives anywhere, and tells `Books` of every start and end.
"""

import itertools
import signal
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from hypershell.client.held_outcomes import HELD_SECONDS
from hypershell.client.tasks.grants import Grant
from hypershell.client.tasks.spawn import Child
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from tests.sim import runtime
from tests.sim.scheduler import Machine, Scheduler, Strand

if TYPE_CHECKING:
    from tests.sim.clients import SimClient


FIRST_PID = 5_000_000
"""Of simulated processes: beyond those that a real one may have (pid_max, proc(5))."""


class Behaviour(NamedTuple):
    """What one attempt at a task does."""

    seconds: float
    code: int = 0
    signal: int = 0
    heeds_term_after: float = 0.001
    """Seconds; with math.inf it ignores TERM."""
    background_seconds: float = 0.0
    """How long something lives on in its session when its shell has ended."""
    escapes: bool = False
    """That something leaves the session."""
    kills_client_after: float | None = None


class TaskProcess:
    """One process of a task: its shell, or what that left in the background."""

    def __init__(
        self, running: "Running", claim: Claim, client: "SimClient", seconds: float, leader: int
    ) -> None:
        self.running = running
        self.pid = next(running.pids)
        self.leader = leader or self.pid
        self.claim = claim
        self.client = client
        self.client_id = client.client_id
        self.machine: Machine = client.machine
        self.is_alive = True
        self.escaped = False
        self.started = running.scheduler.now
        self.ended_by = 0
        self.is_stopped = False
        self.is_frozen = False
        self.behaviour: Behaviour | None = None
        self.told = False
        self.signalled_with_all_at: float | None = None
        self.ended_with_all = False
        self.was_unwatched = False
        self._left = seconds
        self._since = running.scheduler.now
        self._turn = 0
        self._go_on()

    def _go_on(self) -> None:
        self._since = self.running.scheduler.now
        turn = self._turn = self._turn + 1
        self.running.scheduler.call_in(self._left, lambda: self._is_due(turn))

    def _is_due(self, turn: int) -> None:
        if self.is_alive and turn == self._turn:
            self.end(0)

    def stand_still(self) -> None:
        """Time goes on, and it does not."""
        if not (self.is_stopped or self.is_frozen):
            self._left -= self.running.scheduler.now - self._since
            self._turn += 1

    def run_on(self) -> None:
        """It runs on, unless something else keeps it."""
        if self.is_alive and not (self.is_stopped or self.is_frozen):
            self._go_on()

    def get(self, number: int) -> None:
        """A signal comes."""
        if not self.is_alive:
            return
        scheduler = self.running.scheduler
        match number:
            case signal.SIGKILL:
                scheduler.call_in(0.0002, lambda: self.end(signal.SIGKILL))
            case signal.SIGSTOP:
                self.stand_still()
                self.is_stopped = True
            case signal.SIGCONT:
                if self.is_stopped:
                    self.is_stopped = False
                    self.run_on()
            case _ if not self.told:
                self.told = True
                after = 0.001 if self.behaviour is None else self.behaviour.heeds_term_after
                if after < 1e6:
                    scheduler.call_in(after, lambda: self._heed(number))

    def _heed(self, number: int) -> None:
        if self.is_stopped or self.is_frozen:
            self.running.scheduler.call_in(0.05, lambda: self._heed(number))
        else:
            self.end(number)

    def end(self, by: int) -> None:
        """It ends, by a signal if one is named."""
        if not self.is_alive or not self.machine.is_up:
            return
        self.is_alive = False
        self.ended_by = by
        at = self.signalled_with_all_at
        self.ended_with_all = at is not None and self.running.scheduler.now - at < HELD_SECONDS / 2
        self.running.ended(self)


class Running:
    """All processes of tasks that live anywhere."""

    def __init__(self, scheduler: Scheduler, behaviour_of: Callable[[Claim], Behaviour]) -> None:
        self.scheduler = scheduler
        self.pids = itertools.count(FIRST_PID)
        self.alive: dict[int, TaskProcess] = {}
        self._behaviour_of = behaviour_of
        self.about_to_start: Callable[[Claim], None]
        self.started_one: Callable[[TaskProcess], None]
        self.ended_one: Callable[[TaskProcess], None]

    def start(self, claim: Claim, client: "SimClient") -> TaskProcess:
        """Start the shell of a task."""
        behaviour = self._behaviour_of(claim)
        process = TaskProcess(self, claim, client, behaviour.seconds, 0)
        process.behaviour = behaviour
        self.alive[process.pid] = process
        self.started_one(process)
        if behaviour.kills_client_after is not None:
            self.scheduler.call_in(
                behaviour.kills_client_after, lambda: self._kill_client(process, client)
            )
        if behaviour.background_seconds:
            self._leave(process, behaviour)
        return process

    def _leave(self, leader: TaskProcess, behaviour: Behaviour) -> None:
        seconds = behaviour.seconds + behaviour.background_seconds
        child = TaskProcess(self, leader.claim, leader.client, seconds, leader.pid)
        child.behaviour = behaviour
        child.escaped = behaviour.escapes
        self.alive[child.pid] = child

    def _kill_client(self, process: TaskProcess, client: "SimClient") -> None:
        if process.is_alive and not process.is_stopped and not process.is_frozen:
            client.kill_proper("a line of its own")

    def ended(self, process: TaskProcess) -> None:
        """A process ended."""
        self.alive.pop(process.pid, None)
        self.ended_one(process)
        if process.pid == process.leader:
            process.client.leader_ended(process)

    def of(self, client: "SimClient") -> list[TaskProcess]:
        """What lives below the supervisor of a client."""
        return [each for each in self.alive.values() if each.client is client]

    def on(self, machine: Machine) -> list[TaskProcess]:
        """What lives on a machine."""
        return [each for each in self.alive.values() if each.machine is machine]

    def lose(self, machine: Machine) -> None:
        """The machine is gone, and all that ran there."""
        for process in self.on(machine):
            process.is_alive = False
            self.alive.pop(process.pid, None)
            self.ended_one(process)


class SimProcesses:
    """See `hypershell.client.tasks.processes.Processes`."""

    def __init__(self, client: "SimClient", running: Running) -> None:
        self._client = client
        self._running = running
        self._known: dict[int, TaskProcess] = {}

    def spawn(
        self, claim: Claim, slot: int, out: int, err: int, grant: Grant | None = None
    ) -> Child:
        """Start a task; OSError while the machine is short of memory."""
        self._running.about_to_start(claim)
        runtime.clock.sleep(0.0005)
        self._client.check_memory()
        process = self._running.start(claim, self._client)
        child = Child(claim, process.pid, slot, runtime.clock.monotonic(), runtime.clock.wall())
        self._known[process.pid] = process
        self._client.children[process.pid] = child
        return child

    def reap(self, child: Child) -> Outcome:
        """Its outcome."""
        process = self._known.pop(child.pid)
        self._client.children.pop(child.pid, None)
        behaviour = process.behaviour
        assert behaviour is not None
        ending, code = Ending.EXITED, behaviour.code
        if number := process.ended_by or behaviour.signal:
            ending, code = Ending.SIGNALED, number
        return Outcome(
            child.claim.task_id,
            child.claim.lease,
            ending,
            int(code),
            started_at=child.started_at,
            seconds=max(0.0, runtime.clock.monotonic() - child.started),
            slot=child.slot,
            pid=child.pid,
        )

    def _sessions(self, children: Iterable[Child]) -> list[TaskProcess]:
        leaders = {child.pid for child in children}
        return [
            each
            for each in list(self._running.alive.values())
            if each.leader in leaders and not each.escaped
        ]

    def terminate(self, children: Iterable[Child]) -> None:
        """TERM, and CONT."""
        for process in self._sessions(children):
            process.get(signal.SIGTERM)
            process.get(signal.SIGCONT)

    def kill(self, children: Iterable[Child]) -> None:
        """KILL."""
        for process in self._sessions(children):
            process.get(signal.SIGKILL)

    def pause(self, children: Iterable[Child]) -> None:
        """STOP, to all of this client."""
        for process in self._running.of(self._client):
            process.get(signal.SIGSTOP)

    def go_on(self, children: Iterable[Child]) -> None:
        """CONT."""
        for process in self._running.of(self._client):
            process.get(signal.SIGCONT)

    def live_sessions(self) -> Collection[int]:
        """Those in which something lives."""
        return {each.leader for each in self._running.alive.values() if not each.escaped}

    def kill_strays(self, task_ids: Collection[int] | None = None) -> int:
        """Kill what carries the mark of this client."""
        found = [
            each
            for each in self._running.alive.values()
            if each.client_id == self._client.client_id
            and (task_ids is None or each.claim.task_id in task_ids)
        ]
        for process in found:
            process.get(signal.SIGKILL)
        return len(found)

    def outlived(self, child: Child) -> bool:
        """Whether something lives in its session."""
        return child.pid in self.live_sessions()

    def memory_kib(self, child: Child, *, exact: bool = False) -> int:
        """Simulated tasks use none."""
        return 0

    def oom_kills(self) -> int | None:
        """Nobody knows."""
        return None


class SimWatch:
    """See `hypershell.client.tasks.watch.Watch`."""

    needs_sigchld = False

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._ended: dict[Child, None] = {}
        self._children: dict[int, Child] = {}
        self._waiting: Strand | None = None
        self._is_woken = False
        self._ended_early: set[int] = set()

    def add(self, child: Child) -> None:
        """Watch a child."""
        self._children[child.pid] = child
        if child.pid in self._ended_early:
            self._ended[child] = None

    def remove(self, child: Child) -> None:
        """Watch it no longer."""
        del self._children[child.pid]
        self._ended.pop(child, None)

    def add_pipe(self, descriptor: int) -> None:
        """There are no pipes."""

    def remove_pipe(self, descriptor: int) -> None:
        """There are no pipes."""

    def ended(self, pid: int) -> None:
        """A process of this client ended."""
        if (child := self._children.get(pid)) is None:
            self._ended_early.add(pid)
            return
        self._ended[child] = None
        self._wake()

    def wait(self, timeout: float | None) -> tuple[list[Child], list[int]]:
        """The children that have ended."""
        if not self._ended and not self._is_woken and timeout != 0:
            self._waiting = self._scheduler.current
            self._scheduler.park(timeout)
            self._waiting = None
        self._is_woken = False
        return list(self._ended), []

    def wake(self) -> None:
        """End a wait."""
        self._is_woken = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._scheduler.wake(self._waiting)

    def close(self) -> None:
        """Nothing is open."""


class SimOutput:
    """See `hypershell.client.tasks.output.Output`: tasks print nothing."""

    streams: tuple[int, ...] = ()
    is_failing = False
    unwritten = None
    has_ever_failed = False

    def has_failed(self) -> bool:
        """There is always room."""
        return False

    def ends(self, slot: int) -> tuple[int, int]:
        """No descriptors."""
        return -1, -1

    def finish(self, slot: int) -> tuple[bytes, bytes]:
        """Nothing was printed."""
        return b"", b""

    def finish_writing(self) -> None:
        """Nothing is left."""

    def close(self) -> None:
        """Nothing is open."""
