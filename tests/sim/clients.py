"""A simulated client: the product's supervisor and client, each in a process of its own.

Their decisions are the product's; their system calls are those of a simulated machine. Either of
them may be killed or frozen at any moment, or both, with all that runs below them.
"""

import errno
import signal
from typing import TYPE_CHECKING, Any

from hypershell.client.assembly import Joined, run_joined
from hypershell.client.begun_table import BegunTable
from hypershell.client.client_process import Heard, Reaped, RunClient
from hypershell.client.joining import RunOver, SignalledEarly, join
from hypershell.client.last_words import LastWords
from hypershell.client.launcher_channel import LauncherChannel
from hypershell.client.options import ClientOptions
from hypershell.client.senders import Senders
from hypershell.client.server_link import ServerLink
from hypershell.client.signal_orders import SignalOrders
from hypershell.client.supervisor import Supervisor
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.orders import Orders
from hypershell.core.errors import HyperShellError
from hypershell.core.resources import NOTHING, Offer
from hypershell.runtime.signals import Sent
from hypershell.wire.worker_messages import Hello
from tests.sim import runtime
from tests.sim.plan import CORES
from tests.sim.scheduler import Machine, Process, Strand
from tests.sim.tasks import SimOutput, SimProcesses, SimWatch, TaskProcess

if TYPE_CHECKING:
    from tests.sim.world import World

_TABLE_ENTRIES = 256
_OUTSIDE = 1
"""The number of a process that sends signals from outside of all that a client runs."""


class SimSenders(Senders):
    """See Senders; who is whose child is known by the simulated machine."""

    client: "SimClient"

    def _relatives(self, pid: int) -> list[int] | None:
        process = self.client.world.running.alive.get(pid)
        if process is None:
            return [pid] if pid == _OUTSIDE else None
        return [pid, process.leader, self.client.supervisor.pid]


class SimPipe(SupervisorPipe):
    """See SupervisorPipe; it ends at a simulated supervisor."""

    def __init__(self, client: "SimClient") -> None:
        super().__init__(None)
        self._descriptor = -1
        self._client = client

    def _say(self, line: str) -> None:
        if self._client.supervisor.is_dead:
            self._descriptor = None
        else:
            self._client.system.say_to_supervisor(line.encode() + b"\n")


class SimClientProcess:
    """See ClientProcess."""

    def __init__(self, client: "SimClient") -> None:
        self._client = client
        self.supervisor = client.supervisor.pid
        self.launcher = _OUTSIDE
        self.status: int | None = None
        self._data = b""
        self._signals: list[Sent] = []
        self._is_news = False
        self._waiting: Strand | None = None
        self._by_default = False

    # What happens to it.

    def say_to_supervisor(self, data: bytes) -> None:
        """The client has written into the pipe."""
        self._data += data
        self.news()

    def signal_came(self, sent: Sent) -> None:
        """The supervisor is sent a signal."""
        if self._by_default:
            client = self._client
            client.world.scheduler.call_in(0.0, client.kill_supervisor)
            return
        self._signals.append(sent)
        self.news()

    def news(self) -> None:
        """Something is to be looked at."""
        self._is_news = True
        if self._waiting is not None:
            self._client.world.scheduler.wake(self._waiting)

    # What the supervisor calls.

    def prepare(self) -> bool:
        """See ClientProcess."""
        return True

    def start(self, client: RunClient) -> int | None:
        """See ClientProcess."""
        self._client.start_proper(client)
        return None

    def wait(self, seconds: float | None) -> Heard:
        """See ClientProcess."""
        scheduler = self._client.world.scheduler
        if not self._is_news:
            self._waiting = scheduler.current
            scheduler.park(seconds)
            self._waiting = None
        self._is_news = False
        data, self._data = self._data, b""
        return Heard(data, self.signals())

    def signals(self) -> list[Sent]:
        """See ClientProcess."""
        found, self._signals = self._signals, []
        return found

    def last_words(self) -> bytes:
        """See ClientProcess."""
        data, self._data = self._data, b""
        return data

    def reap(self) -> Reaped:
        """See ClientProcess."""
        return Reaped(self.status, False)

    def descendants(self) -> set[int]:
        """See ClientProcess."""
        client = self._client
        found = {process.pid for process in client.world.running.of(client)}
        if client.is_alive:
            found.add(client.proper.pid)
        return found

    def signal(self, number: int, pid: int | None = None) -> None:
        """See ClientProcess."""
        client = self._client
        if pid is None or pid == client.proper.pid:
            client.signal_proper(number, client.supervisor.pid)
        elif (process := client.world.running.alive.get(pid)) is not None:
            process.get(number)

    def signal_all(self, number: int) -> set[int]:
        """See ClientProcess."""
        client = self._client
        for process in client.world.running.of(client):
            process.get(number)
        if client.is_alive:
            client.signal_proper(number, client.supervisor.pid)
        return set()

    def stop_supervisor(self) -> None:
        """No terminal stops a simulated client."""

    def heed_no_more(self) -> None:
        """See ClientProcess."""
        self._signals.clear()
        self._by_default = True

    def say(self, text: str) -> None:
        """See ClientProcess."""
        self._client.world.note(self._client.supervisor.name, text)


class SimClient:
    """One client, from its start to its end."""

    def __init__(self, world: "World", machine: Machine, slots: int) -> None:
        self.world = world
        self.machine = machine
        self.slots = slots
        self.name = f"client{len(world.clients) + 1}"
        self.client_id = ""
        self.names: set[str] = set()
        self.supervisor = Process(machine, f"{self.name} supervisor", next(world.running.pids))
        self.proper = Process(machine, self.name, next(world.running.pids))
        for process in (self.supervisor, self.proper):
            process.at_death.append(lambda p=process: world.network.process_ended(p))
        self.proper.at_death.append(self._proper_died)
        self.supervisor.at_death.append(self._supervisor_died)
        self.children: dict[int, Any] = {}
        self.table: BegunTable | None = BegunTable(_TABLE_ENTRIES)
        self.has_started = False
        self.was_lost = False
        self.was_killed_with_supervisor = False
        self.status: int | None = None
        self.failure: Exception | None = None
        self._signals: SignalOrders | None = None
        self.watch = SimWatch(world.scheduler)
        self.system = SimClientProcess(self)
        self.buffer: TaskBuffer | None = None
        world.scheduler.start(self.supervisor, self.supervisor.name, self._supervise)

    # What it is.

    @property
    def is_supervised(self) -> bool:
        """Whether its supervisor lives."""
        return not self.supervisor.is_dead

    @property
    def is_alive(self) -> bool:
        """Whether the client itself lives."""
        return self.has_started and not self.proper.is_dead

    @property
    def is_awake(self) -> bool:
        """Whether it lives, and does not stand still."""
        processes = [self.supervisor, *([self.proper] if self.has_started else [])]
        return self.is_supervised and not (
            self.machine.is_frozen or any(process.is_frozen for process in processes)
        )

    def _is_running(self, process: Process) -> bool:
        return not (process.is_dead or process.is_frozen)

    def look_if_watched(self) -> None:
        """Note if nobody is left who could end what runs here."""
        if self.has_started and not (
            self._is_running(self.supervisor) or self._is_running(self.proper)
        ):
            for process in self.world.running.of(self):
                process.was_unwatched = True

    def excuse_of(self, process: TaskProcess) -> str | None:
        """The documented exception by which a task of its may run beside its next attempt."""
        if not process.was_unwatched:
            return None
        is_seen = self.machine is self.world.machines[0] and self.machine.is_up
        if is_seen and self.supervisor.is_dead and self.proper.is_dead:
            return None
        return "client and supervisor were dead or frozen at once"

    # The supervisor's process.

    def _supervise(self) -> None:
        table = self.table
        assert table is not None

        def senders(*args: Any) -> Senders:
            return self._senders(*args)

        supervisor = Supervisor(
            self._be_client, lambda: LastWords(self.world.find, table), table, self.system, senders
        )
        self.status = supervisor.run()
        self.world.note(self.supervisor.name, f"exits with {self.status}")
        self.world.scheduler.call_in(0.0, self._supervisor_ended)

    def _supervisor_ended(self) -> None:
        self.world.scheduler.kill(self.supervisor)

    def _supervisor_died(self) -> None:
        self.look_if_watched()
        scheduler = self.world.scheduler
        if self.is_alive:  # the kernel sends it TERM, as its parent is dead
            scheduler.call_in(0.0001, lambda: self.signal_proper(signal.SIGTERM, 0))
        scheduler.call_in(0.0, self.world.look_if_done)

    def _senders(self, *args: Any) -> Senders:
        senders = SimSenders(*args)
        senders.client = self
        return senders

    # The client's process.

    def start_proper(self, run: RunClient) -> None:
        """It is forked."""
        self.has_started = True
        self.world.scheduler.start(self.proper, f"{self.name} main", lambda: self._proper(run))

    def _proper(self, run: RunClient) -> None:
        status = 70
        try:
            status = run(0, None)
        except HyperShellError as error:
            status = error.exit_code
            self.world.note(self.name, f"{error}")
        except Exception as error:  # noqa: BLE001 - it would be the program's own failure
            self.failure = error
        self.world.note(self.name, f"ends with {status}")
        self.world.scheduler.call_in(0.0, lambda: self._proper_ended(status << 8))

    def _proper_ended(self, status: int) -> None:
        self.system.status = status
        self.world.scheduler.kill(self.proper)

    def _proper_died(self) -> None:
        if self.system.status is None:
            self.system.status = signal.SIGKILL
            self.was_lost = True
        self.look_if_watched()
        self.system.news()
        self.world.scheduler.call_in(0.0, self.world.look_if_done)

    def _be_client(self, pipe_end: int, control: int | None) -> int:
        """What `client.main.run_client` does, in this world."""
        world, table = self.world, self.table
        assert table is not None
        inbox: Any = runtime.Inbox()
        senders = self._senders(table, self.supervisor.pid, (), self._warn)
        self._signals = signals = SignalOrders(senders, inbox)
        link = ServerLink(world.find)
        pipe = SimPipe(self)
        offer = Offer(CORES) if world.plan.with_needs else NOTHING
        hello = Hello(self.machine.name, self.proper.pid, self.slots, offer=offer)
        options = ClientOptions(self.slots, world.plan.wait, offer=offer)
        try:
            welcome = join(link, hello, inbox, options.wait, 0.0, self._was_there)
        except SignalledEarly as early:
            return 128 + early.number
        except RunOver:
            return 0
        signals.grace_seconds = welcome.grace_seconds
        self._renamed(welcome.client_id)
        pipe.joined(welcome, link.heard_at)
        orders = Orders(self.watch.wake)
        processes = SimProcesses(self, world.running)
        system: Any = (orders, processes, self.watch, SimOutput(), self._renamed)
        before = (options, inbox, link, pipe, table, LauncherChannel(None))
        return run_joined(Joined(*before, *system, self._was_there), hello, welcome)

    def _renamed(self, client_id: str) -> None:
        self.client_id = client_id
        self.names.add(client_id)

    def _was_there(self, is_last: bool) -> bool:
        return self.world.directory.has_ended

    def _warn(self, text: str) -> None:
        self.world.note(self.name, text)

    def leader_ended(self, process: TaskProcess) -> None:
        """The shell of a task has ended."""
        self.watch.ended(process.pid)

    def check_memory(self) -> None:
        """OSError while the machine is short of memory."""
        if self.world.scheduler.now < self.machine.short_until:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

    # What happens to it.

    def signal_proper(self, number: int, sender: int) -> None:
        """The client itself is sent a signal."""
        if not self.is_alive:
            return
        scheduler = self.world.scheduler
        match number:
            case signal.SIGKILL:
                scheduler.call_in(0.0, lambda: scheduler.kill(self.proper))
            case signal.SIGSTOP:
                scheduler.freeze(self.proper)
            case signal.SIGCONT:
                scheduler.thaw(self.proper)
            case _ if self._signals is None:
                scheduler.call_in(0.0, lambda: scheduler.kill(self.proper))
            case _:
                signals = self._signals
                scheduler.start(
                    self.proper, "signals", lambda: self._came(signals, Sent(number, sender))
                )

    def _came(self, signals: SignalOrders, sent: Sent) -> None:
        seconds = signals.came(sent)
        if seconds < 1e9:
            status = 128 + sent.number
            self.world.scheduler.call_in(seconds, lambda: self._must_have_ended(status))

    def _must_have_ended(self, status: int) -> None:
        """The thread that waits for signals has the last word."""
        if self.is_alive and not self.proper.is_frozen:
            self._proper_ended(status << 8)

    def signal_supervisor(self, number: int) -> None:
        """Somebody outside sends its supervisor a signal."""
        if self.is_supervised:
            self.system.signal_came(Sent(number, _OUTSIDE))

    def signal_all(self, number: int) -> None:
        """A signal comes to all of it within milliseconds, in any order."""
        rng, scheduler = self.world.scheduler.rng, self.world.scheduler
        scheduler.call_in(rng.uniform(0, 0.02), lambda: self.signal_supervisor(number))
        scheduler.call_in(rng.uniform(0, 0.02), lambda: self.signal_proper(number, _OUTSIDE))
        for process in self.world.running.of(self):
            process.signalled_with_all_at = scheduler.now
            scheduler.call_in(rng.uniform(0, 0.02), lambda p=process: p.get(number))

    def kill_proper(self, why: str) -> None:
        """KILL to the client itself."""
        if self.is_alive:
            self.world.note(self.name, f"is killed ({why})")
            self.world.scheduler.kill(self.proper)

    def kill_supervisor(self) -> None:
        """KILL to its supervisor."""
        if self.is_supervised:
            self.world.note(self.supervisor.name, "is killed")
            self.world.scheduler.kill(self.supervisor)

    def kill_both(self) -> None:
        """KILL to both at once."""
        self.was_lost = self.was_killed_with_supervisor = True
        self.kill_supervisor()
        self.kill_proper("KILL to both")

    def machine_crashed(self) -> None:
        """All of it is gone."""
        self.was_lost = True

    def freeze(self, process: Process, seconds: float) -> None:
        """Stop one of its processes for a while."""
        scheduler = self.world.scheduler
        if process.is_dead or process.is_frozen:
            return
        self.world.note(process.name, f"stands still for {seconds:g} s")
        scheduler.freeze(process)
        self.look_if_watched()

        def go_on() -> None:
            if not process.is_dead and not self.machine.is_frozen:
                self.world.note(process.name, "goes on")
                scheduler.thaw(process)

        scheduler.call_in(seconds, go_on)
