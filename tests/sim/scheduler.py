"""One thread, virtual time: strands of simulated processes, and who of them runs next.

A *strand* is what is a thread outside: a greenlet that runs product code unchanged. It gives way
where a thread would wait (`Scheduler.park`), and now and then where a thread might be preempted
(`Scheduler.step_aside`). The scheduler picks the next of those that can run by chance alone, and
when none can, time jumps to what is due next. All chance comes from one generator, so the same seed
gives the same order of events, every time.

A *process* has strands that stand still while it is frozen, and never run again once it is killed:
they are unwound at once, and whatever they touch of the simulation meanwhile raises `Killed`.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

import greenlet

_LEAST_SECONDS = 1e-6
"""That a wait takes at least, as time goes on while a program looks at it."""


class Killed(BaseException):
    """The process of this strand is dead."""


class Stuck(Exception):
    """Nothing can run, and nothing is due: every strand waits for another."""


class Machine:
    """A computer, with a clock of its own. It may be frozen as a whole, or suspended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wall_offset = 0.0
        """By how many seconds its wall clock is wrong."""
        self.suspended = 0.0
        """How long it was suspended so far: its monotonic clock stood still meanwhile."""
        self.is_up = True
        self.is_frozen = False
        self.short_until = 0.0
        """Until when it has no memory for another process."""
        self.processes: list[Process] = []


class Process:
    """A process of a machine: strands that live, freeze and die together."""

    def __init__(self, machine: Machine, name: str, pid: int) -> None:
        self.machine = machine
        self.name = name
        self.pid = pid
        self.is_dead = False
        self.is_frozen = False
        self.strands: dict[Strand, None] = {}
        self.held: list[Strand] = []  # that could run, were it not frozen
        self.at_death: list[Callable[[], None]] = []
        machine.processes.append(self)

    def __repr__(self) -> str:
        return self.name


class Strand(greenlet.greenlet):  # type: ignore[misc]
    """A thread of a simulated process."""

    def __init__(self, run: Callable[[], object], process: Process, name: str, number: int) -> None:
        super().__init__(run)
        self.process = process
        self.name = name
        self.number = number
        self.turn = 0  # of its waits: what would wake an older one is void
        self.is_parked = False
        self.woken = False
        self.is_over = False
        self.local: dict[int, dict[str, Any]] = {}
        self.joining: list[Strand] = []


class Scheduler:
    """Runs strands until the world is over. `rng` decides whatever nobody else does."""

    def __init__(self, rng: random.Random, preempt_every: float = 0.0) -> None:
        self.now = 0.0
        self.rng = rng
        self.steps = 0
        self.current: Strand | None = None
        self.failure: BaseException | None = None
        """What a strand ended by, which ends the world."""
        self.died_badly: list[tuple[str, Exception]] = []
        """What strands raised while they were unwound."""
        self._hub = greenlet.getcurrent()
        self._ready: list[Strand] = []
        self._due: list[tuple[float, int, Any, int]] = []
        self._numbers = itertools.count(1)
        self._serial = itertools.count(1)
        self._preempt_every = preempt_every
        self.until_preempted = rng.expovariate(1 / preempt_every) if preempt_every else 1e18

    # Strands and processes.

    def start(self, process: Process, name: str, run: Callable[[], object]) -> Strand:
        """Have a new strand of a process call `run`, as soon as chance lets it."""

        def body() -> None:
            try:
                run()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001 - it ends the world
                self.failure = self.failure or error
            finally:
                self._ended(strand)

        strand = Strand(body, process, name, next(self._numbers))
        strand.parent = self._hub
        process.strands[strand] = None
        self._ready.append(strand)
        return strand

    def _ended(self, strand: Strand) -> None:
        strand.is_over = True
        strand.process.strands.pop(strand, None)
        for values in strand.local.values():
            for value in values.values():
                if not strand.process.is_dead and hasattr(value, "set_timeout"):
                    value.close()  # a connection that was this thread's own
        strand.local.clear()
        for other in strand.joining:
            self.wake(other)
        strand.joining.clear()

    def kill(self, process: Process) -> None:
        """End a process, as SIGKILL does. Only what is called by `call_at` may do it."""
        assert self.current is None
        if process.is_dead:
            return
        process.is_dead = True
        process.machine.processes.remove(process)
        for call in process.at_death:
            call()
        for strand in list(process.strands):
            self._unwind(strand)
        process.strands.clear()
        process.held.clear()

    def _unwind(self, strand: Strand) -> None:
        strand.turn += 1
        strand.is_parked = False
        if strand.dead:
            return
        self.current = strand
        try:
            strand.throw(Killed)
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - product code that fails while it dies
            self.died_badly.append((strand.name, error))
        except BaseException as error:  # noqa: BLE001 - a rule that is broken meanwhile
            self.failure = self.failure or error
        finally:
            self.current = None

    def freeze(self, process: Process) -> None:
        """Stop all strands of a process."""
        process.is_frozen = True

    def thaw(self, process: Process) -> None:
        """Let them run on."""
        process.is_frozen = False
        self._ready += process.held
        process.held = []

    def shift(self, machine: Machine, seconds: float) -> None:
        """The waits of a machine that was suspended end that much later."""
        moved = [
            (at + seconds if isinstance(what, Strand) and what.process.machine is machine else at,
             serial, what, turn)
            for at, serial, what, turn in self._due
        ]  # fmt: skip
        heapq.heapify(moved)
        self._due = moved

    # Waiting.

    def park(self, seconds: float | None) -> bool:
        """Let others run until this strand is woken, or until some seconds are over: which it was.

        Raises Killed if its process dies meanwhile.
        """
        strand = self.current
        assert strand is not None, "only a strand can wait"
        if strand.process.is_dead:
            raise Killed
        strand.turn += 1
        strand.is_parked = True
        strand.woken = False
        if seconds is not None:
            due = self.now + max(seconds, _LEAST_SECONDS)
            heapq.heappush(self._due, (due, next(self._serial), strand, strand.turn))
        self._hub.switch()
        return strand.woken

    def wake(self, strand: Strand) -> None:
        """Let a strand run that is parked; nothing if it is not any more."""
        if strand.is_parked:
            strand.is_parked = False
            strand.turn += 1
            strand.woken = True
            self._ready.append(strand)

    def step_aside(self) -> None:
        """A moment at which a thread might be preempted: now and then others run here."""
        self.until_preempted -= 1
        strand = self.current
        if strand is None:
            return
        if strand.process.is_dead:
            raise Killed
        if self.until_preempted <= 0:
            self.until_preempted = self.rng.expovariate(1 / self._preempt_every)
            # Mostly for as long as it takes others to run, and sometimes for a time slice.
            pause = 0.0 if self.rng.random() < 0.7 else self.rng.uniform(0, 0.02)
            self.park(pause)

    def call_at(self, time: float, call: Callable[[], object]) -> None:
        """Call something at a time, outside all strands; it must not wait."""
        heapq.heappush(self._due, (time, next(self._serial), call, 0))

    def call_in(self, seconds: float, call: Callable[[], object]) -> None:
        """The same, some seconds from now."""
        heapq.heappush(self._due, (self.now + seconds, next(self._serial), call, 0))

    # Running.

    def run(self, is_over: Callable[[], bool], after_step: Callable[[], object]) -> None:
        """Run until `is_over`, calling `after_step` after each step of a strand; Stuck."""
        ready, random_ = self._ready, self.rng.random
        while not is_over():
            if not ready:
                if not self._due:
                    raise Stuck("nothing can run, and nothing is due")
                time, _, what, turn = heapq.heappop(self._due)
                if time > self.now:
                    self.now = time
                if not isinstance(what, Strand):
                    what()
                elif what.turn == turn and what.is_parked:
                    what.is_parked = False
                    ready.append(what)
                ready = self._ready
                continue
            at = int(random_() * len(ready))
            strand = ready[at]
            ready[at] = ready[-1]
            ready.pop()
            process = strand.process
            if process.is_dead or strand.dead:
                continue
            if process.is_frozen:
                process.held.append(strand)
                continue
            self.current = strand
            strand.switch()
            self.current = None
            self.steps += 1
            if self.failure is not None:
                raise self.failure
            after_step()
            ready = self._ready

    def close(self, processes: list[Process]) -> None:
        """Unwind all that is left, when the world is over."""
        self.current = None
        for process in processes:
            self.kill(process)
        self._due.clear()
        self._ready.clear()
