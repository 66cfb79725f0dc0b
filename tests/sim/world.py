"""A world: machines, a network, a disk, servers, clients, users, and what goes wrong with them.

It begins as its plan says, lives until the farm is done, and is judged then. Everything that
happens outside of strands is called by the scheduler. `note` writes the timeline, which costs
nothing unless somebody reads it.
"""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from hypershell.core.run_mode import RunMode
from hypershell.core.task import Claim
from hypershell.store.tasks.journal import Recorded
from tests.sim import runtime
from tests.sim.books import Books, Broken
from tests.sim.clients import SimClient
from tests.sim.disk import Disk
from tests.sim.files import LinesInTime, SimFile
from tests.sim.network import Network
from tests.sim.plan import CORES, HEALED_AT, Event, Plan, behaviour
from tests.sim.rules import check_at_end, check_now
from tests.sim.scheduler import Machine, Process, Scheduler, Stuck
from tests.sim.servers import SECRET, Directory, SimServer, client_key
from tests.sim.tasks import Running
from tests.sim.users import USERS

END_SECONDS = 2000.0
"""When the last run must have ended, whatever went wrong before HEALED_AT."""

FULL_CHECK_EVERY = 20
"""Steps between two looks at everything; what is cheap is checked whenever it happens."""

_MACHINES = 4


def _line(number: int, with_needs: bool) -> bytes:
    """One of the input. Of those with needs every third asks for nothing."""
    if not with_needs or number % 3 == 0:
        return b"line %d" % number
    return b"line %d # HYPERSHELL: cores:%d" % (number, 1 + 7 * number % CORES)


class World:
    """One simulated farm, from its plan to its end."""

    def __init__(self, plan: Plan, tell: Callable[[float, str, str], None] | None = None) -> None:
        self.plan = plan
        self._tell = tell
        self.scheduler = Scheduler(
            random.Random(f"run {plan.seed} {plan.database}"), plan.preempt_every
        )
        runtime.enter(self.scheduler)
        self.machines = [Machine(f"node{number}") for number in range(_MACHINES)]
        self.network = Network(self.scheduler, plan.slow, {m.name: m for m in self.machines})
        self.running = Running(self.scheduler, self._behaviour_of)
        self.books = Books(self)
        self.running.about_to_start = self.books.about_to_start
        self.running.started_one = self.books.task_started
        self.running.ended_one = self.books.task_ended
        self.lines = [_line(number, plan.with_needs) for number in range(1, plan.lines + 1)]
        self.input = LinesInTime(self.lines, list(plan.line_times))
        self.failed_file = SimFile()
        self.disk: Disk | None = None
        if plan.database:
            may_lose = any(event.kind in CRASHING for event in plan.events)
            self.disk = Disk(self.scheduler, may_lose)
        self.directory = Directory()
        self.servers: list[SimServer] = []
        self.clients: list[SimClient] = []
        self.processes: list[Process] = []
        self.coverage: Counter[tuple[str, str]] = Counter()
        self.is_done = False
        self.is_healed = False
        self.idle_since: float | None = None
        self.submissions = 0
        self.submissions_in_doubt = 0
        self._until_full_check = FULL_CHECK_EVERY

    # Its life.

    def run(self) -> None:
        """Live until the end, and be judged; Broken if a rule was."""
        scheduler = self.scheduler
        scheduler.call_at(0.0, lambda: self.start_server(RunMode.FILE))
        for number, slots in enumerate(self.plan.slots):
            scheduler.call_in(0.3 * number, partial(self.start_client, number, slots))
        for event in self.plan.events:
            scheduler.call_at(event.at, partial(self._happen, event))
        scheduler.call_at(HEALED_AT, self._heal)
        scheduler.call_at(END_SECONDS, self._too_late)
        try:
            scheduler.run(lambda: self.is_done, self._after_step)
            check_at_end(self)
        except Stuck as error:
            raise Broken("a run ends", f"{error}: {self._who_waits()}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Unwind all that is left."""
        machines = [machine.processes for machine in self.machines]
        self.scheduler.close([process for some in machines for process in list(some)])
        if self.disk is not None:
            self.disk.close()

    def _after_step(self) -> None:
        self._until_full_check -= 1
        if self._until_full_check <= 0:
            self._until_full_check = FULL_CHECK_EVERY
            check_now(self)

    def _too_late(self) -> None:
        raise Broken("a run ends", f"after {END_SECONDS:g} s it has not: {self._who_waits()}")

    def _who_waits(self) -> str:
        alive = [p.name for machine in self.machines for p in machine.processes]
        return f"{', '.join(alive) or 'nobody'} alive"

    def note(self, who: str, what: str) -> None:
        """Something happened."""
        if self._tell is not None:
            self._tell(self.scheduler.now, who, what)

    def met(self, state: str, event: str) -> None:
        """A transition was met."""
        self.coverage[state, event] += 1

    def _behaviour_of(self, claim: Claim) -> Any:
        plan = self.plan
        return behaviour(plan.seed, claim.command, claim.attempt, plan.long_share)

    # Servers.

    @property
    def server(self) -> SimServer | None:
        """The server that runs, if one does."""
        last = self.servers[-1] if self.servers else None
        return last if last is not None and last.is_alive else None

    def start_server(self, mode: RunMode) -> None:
        """Start a server on the first machine, unless one runs."""
        if self.server is not None or not self.machines[0].is_up:
            return
        # The same port as before, most of the time.
        port = self.directory.port or 1000
        if self.scheduler.rng.random() < 0.2:
            port += 10
        self.servers.append(SimServer(self, self.machines[0], mode, port))

    def open_session(self, server: SimServer, reader: Any) -> Any:
        """The database of a server that starts, with its run begun; None without one."""
        if self.disk is None:
            return None
        from hypershell.core.origin import Origin
        from hypershell.store.sql.runs import Making, begin_run
        from hypershell.store.sql.session import RunSession

        database = self.disk.open()
        making = Making(
            f"server{server.number}",
            b"" if reader is None else b"/sim/tasks",
            self.plan.lease,
            Origin(b"/sim", "/sim"),
            place=server.number,
            client_key=client_key(self.plan.seed),
        )
        begun = begin_run(database, server.mode, making)
        session = RunSession(database, begun, server.mode)
        if reader is not None:
            session.pass_over(reader)
        return session

    def server_over(self, server: SimServer) -> None:
        """A server has ended, in whichever way but by a kill."""
        ended = server.ended
        text = "failed" if ended is None else f"{ended.counts}"
        self.note(server.process.name, f"ended: {text} {server.error or ''}")
        self.scheduler.call_in(0.0, lambda: self._after_server(server))

    def server_died(self, server: SimServer) -> None:
        """It was killed."""
        self.note(server.process.name, "is dead")
        self.scheduler.call_in(0.0, lambda: self._after_server(server))

    def _after_server(self, server: SimServer) -> None:
        self.scheduler.kill(server.process)
        if server.was_seen_to_end:
            return
        server.was_seen_to_end = True
        if self.disk is not None and self.is_unfinished(server):
            mode = self._next_mode(server)
            # Who sees that a server cannot start tries again more slowly.
            shortest = 0.05 if server.error is None else 2.0
            pause = self.scheduler.rng.choice((shortest, 2.0, self.plan.lease * 1.5))
            self.scheduler.call_in(pause, lambda: self._continue(mode))
        else:
            self.look_if_done()

    def _next_mode(self, server: SimServer) -> RunMode:
        """A restart takes what is stored, for good; the rest of the input takes a resume.

        Where the run had not begun when its server died, it is started again.
        """
        if type(server.error).__name__ == "NothingToResume":
            return RunMode.FILE
        if server.mode is RunMode.RESTART:
            return RunMode.RESTART
        has_read = server.ended is not None and not server.ended.unread_from
        if has_read and self.plan.takes_restart and self.scheduler.rng.random() < 0.5:
            return RunMode.RESTART
        return RunMode.RESUME

    def _continue(self, mode: RunMode) -> None:
        """Somebody starts the next server, and clients if none is left."""
        if not self.machines[0].is_up:
            self.scheduler.call_in(1.0, lambda: self._continue(mode))
            return
        if mode is RunMode.RESTART:
            self.books.failed_are_retried()
        self.start_server(mode)
        self.scheduler.call_in(1.0, self._see_to_clients)

    def _see_to_clients(self) -> None:
        """Somebody starts a client where none is left that does anything."""
        if self.server is not None and not any(c.is_awake for c in self.clients):
            self.start_client(len(self.clients), 2)

    def is_unfinished(self, server: SimServer) -> bool:
        """Whether a run that has ended is to be continued."""
        if server.process.is_dead and server.ended is None:
            return True
        if server.ended is None:
            return True
        counts = server.ended.counts
        return bool(counts.unfinished or counts.interrupted or server.ended.unread_from)

    def look_if_done(self) -> None:
        """Whether nothing is left that could happen."""
        if self.server is not None or any(c.is_supervised or c.is_alive for c in self.clients):
            return
        last = self.servers[-1]
        if self.disk is not None and self.is_unfinished(last):
            return
        self.is_done = True

    # Clients.

    def start_client(self, number: int, slots: int) -> None:
        """Start a client on one of the machines."""
        machine = self.machines[number % _MACHINES]
        if machine.is_up and not machine.is_frozen:
            self.clients.append(SimClient(self, machine, slots))

    def find(self) -> tuple[str, int, bytes]:
        """Where the server is, as the directory says; NoServer."""
        from hypershell.core.errors import ServerUnreachable

        directory = self.directory
        if not directory.port:
            raise ServerUnreachable(host="node0", port=0, reason="no server has started")
        return directory.host, directory.port, SECRET

    def has_lost(self, client_id: str) -> bool:
        """Whether the client with this id died, or may have been out of reach."""
        return self._may_cut_off or any(
            client.was_lost for client in self.clients if client_id in client.names
        )

    @property
    def _may_cut_off(self) -> bool:
        return self.plan.slow > 0 or any(e.kind in CUTTING for e in self.plan.events)

    def new_submission(self) -> int:
        """The number of one more submission."""
        self.submissions += 1
        return self.submissions

    # What happens to it.

    def _happen(self, event: Event) -> None:
        if self.is_done:
            return
        self.note("world", str(event))
        kind, who, value = event.kind, event.who, event.value
        if kind in USERS:
            USERS[kind](self, who, value)
            return
        from tests.sim import faults

        faults.FAULTS[kind](self, who, value)

    def _heal(self) -> None:
        """Nothing goes wrong any more: all that stands still runs on."""
        from tests.sim import faults

        self.is_healed = True
        self.note("world", "nothing goes wrong any more")
        faults.heal(self)
        self.scheduler.call_in(1.0, self._see_to_clients)
        self.scheduler.call_in(self.plan.lease + 5.0, self._keep_clients)

    def _keep_clients(self) -> None:
        """Somebody sees to it that there is a client as long as there is a server."""
        if not self.is_done:
            self._see_to_clients()
            self.scheduler.call_in(5.0, self._keep_clients)

    def signal_farm(self, number: int) -> None:
        """A signal to all: server, clients, tasks, in any order within milliseconds."""
        rng = self.scheduler.rng
        if self.server is not None:
            self.scheduler.call_in(rng.uniform(0, 0.01), partial(self.server.interrupt, number))
        for client in self.clients:
            client.signal_all(number)


CRASHING = {"crash server", "power failure"}
"""Kinds of events by which the disk of the server may lose what was not synced."""

CUTTING = {
    "freeze client", "freeze and stop", "freeze supervisor", "freeze machine", "suspend machine",
    "block in", "block out", "block both", "overload machine", "slow", "freeze server", "disk full",
    "disk slow", "power failure",
}  # fmt: skip
"""Kinds of events by which a client that lives may be silent for its lease."""


def states_of(recorded: Recorded) -> tuple[str, str]:
    """What was met when this was recorded."""
    return recorded.outcome.ending.word, recorded.state.value
