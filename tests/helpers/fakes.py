"""Parts of a farm in one process, without its threads and sockets, and calls that may block."""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.resources import NOTHING, Offer, TaskNeeds
from hypershell.core.retry import Policy
from hypershell.core.task import Claim, Task, new_task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec, layered
from hypershell.server.events import EventBus, TasksBegun
from hypershell.server.loops.receiver import Receiver
from hypershell.server.loops.scheduler import Scheduler
from hypershell.server.planes.late_outcomes import LateOutcomes
from hypershell.server.planes.worker_service import WorkerService
from hypershell.server.reports.failures import Failures
from hypershell.server.reports.sink import LineSink
from hypershell.server.state.client import Client
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.guard import Guard
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.server.state.unwritten import UnwrittenOutput
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.codec import decode, encode
from hypershell.wire.worker_messages import (
    Answer,
    Hello,
    Welcome,
    pack_hello,
    unpack_answer,
    unpack_welcome,
)
from tests.helpers.waiting import until

E = TypeVar("E")
T = TypeVar("T")


class Call(Generic[T]):
    """A call in a thread of its own, as it may block."""

    def __init__(self, function: Callable[..., T], *args: Any) -> None:
        self._function = function
        self._args = args
        self._value: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._function(*self._args))
        except Exception as error:  # noqa: BLE001 - raised again by `result`
            self._error = error

    def is_over(self, seconds: float = 0.0) -> bool:
        """Whether it has returned or raised, waiting so long for it."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self, seconds: float = 5.0) -> T:
        """What it returned; what it raised is raised here."""
        if not self.is_over(seconds):
            raise AssertionError(f"{self._function} did not return within {seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._value[0]


class ServerParts:
    """The rooms of a server, real ones, whose passes the test makes itself.

    Calls go through the codec, as they would from a client.
    """

    def __init__(
        self,
        *lines: bytes,
        bundlesize: int = 1,
        policy: Policy = Policy(),  # noqa: B008 - it is frozen
        lease: float = 30.0,
        sink: LineSink | None = None,
        unwritten: UnwrittenOutput | None = None,
        default: TaskSpec = DEFAULT_SPEC,
        guards: bool = False,
    ) -> None:
        self.bus = EventBus()
        self.lock = threading.RLock()
        sink = sink or LineSink(os.open(os.devnull, os.O_WRONLY), "nowhere")
        self.store = TaskStore(policy, owes=sink.is_wanted)
        clients: dict[str, Client] = {}
        self.registry = ClientRegistry(
            self.lock, lease, 5.0, self.bus, clients=clients, needs=TaskNeeds(default)
        )
        self.scheduled = ScheduledQueue(
            self.lock, bundlesize, self.bus, clients, default, policy.max_lost
        )
        self.scheduler = Scheduler(self.store, self.scheduled, bundlesize, TaskNeeds(default))
        self.finished = FinishedQueue()
        self.failures = Failures(sink, self.store.printed)
        self.failures.subscribe(self.bus)
        self.bus.subscribe(lambda e: self.store.begin(e.client_id, e.begun), TasksBegun)
        self.late = LateOutcomes(self.registry, self.scheduler.take_late, self.scheduled, self.bus)
        self.worker_service = WorkerService(
            self.registry, self.scheduled, self.finished, self.late, default, unwritten
        )
        self.receiver = Receiver(
            self.finished,
            self.store,
            self.registry,
            self.scheduler,
            self.scheduled,
            self.bus,
            policy,
            Guard(clients, self.store, self.scheduled, self.bus, is_on=guards),
        )
        self._number = 0
        self.add(*lines)
        self.scheduler.dispatch()

    def heard(self, kind: type[E]) -> list[E]:
        """The list to which each event of this type is added from now on."""
        events: list[E] = []
        self.bus.subscribe(events.append, kind)
        return events

    def add(self, *lines: bytes, spec: TaskSpec = DEFAULT_SPEC) -> None:
        """Put lines into the store, numbered on, all with these settings."""
        tasks = []
        for line in lines:
            self._number += 1
            task = new_task(line, self._number, self._number)
            tasks.append(task._replace(spec=layered(task.spec, spec)))
        self.store.add(tasks)

    def join(self, host: str = "node1", slots: int = 1, offer: Offer = NOTHING) -> Welcome:
        """A new client."""
        return self.greet(Hello(host, 1, slots, offer=offer))

    def greet(self, hello: Hello) -> Welcome:
        """Join, or come back, as the wire does it."""
        return unpack_welcome(_travel(self.worker_service.join(_travel(pack_hello(hello)))))

    def exchange(
        self,
        client: Welcome,
        outcomes: Iterable[Outcome] = (),
        want: int = -1,
        wait: float = 0.0,
        begun: Iterable[Begun] = (),
    ) -> Answer:
        """One call of a client; it blocks while outcomes wait for the receiver's pass."""
        session = client.client_id, client.session
        arguments = _travel([*session, list(outcomes), want, wait, list(begun)])
        return unpack_answer(_travel(self.worker_service.exchange(*arguments)))

    def give(self, client: Welcome, *outcomes: Outcome, want: int = -1) -> Answer:
        """The same with outcomes, which the receiver records meanwhile."""
        call = Call(self.exchange, client, outcomes, want)
        self.receive()
        return call.result()

    def leave(
        self,
        client: Welcome,
        reason: str = "it was idle",
        dead: bool = False,
        begun: Iterable[Claim] = (),
        interrupted: Iterable[Claim] = (),
    ) -> None:
        """A client leaves; it blocks while what it held waits for the receiver's pass."""
        pairs = [[(c.task_id, c.lease) for c in claims] for claims in (begun, interrupted)]
        self.worker_service.leave(*_travel([client.client_id, reason, dead, *pairs]))

    def park(self, client: Welcome, want: int = 1, wait: float = 10.0) -> "Call[Answer]":
        """A call that finds nothing and waits for it."""
        before = self.parked()
        call = Call(self.exchange, client, (), want, wait)
        until(lambda: self.parked() > before, 5.0, "the call is parked")
        return call

    def parked(self) -> int:
        """How many calls are parked."""
        return self.scheduled.parked()

    def receive(self) -> bool:
        """A pass of the receiver."""
        return self.receiver.one_pass()


def succeeded(claim: Claim | Task) -> Outcome:
    """An attempt that went well."""
    return _ended(claim, Ending.EXITED, 0)


def failed(claim: Claim | Task, code: int = 1) -> Outcome:
    """An attempt that exited with a status."""
    return _ended(claim, Ending.EXITED, code)


def ended(claim: Claim | Task, ending: Ending) -> Outcome:
    """An attempt that ended otherwise."""
    return _ended(claim, ending, 0)


def _ended(claim: Claim | Task, ending: Ending, code: int) -> Outcome:
    task_id = claim.task_id if isinstance(claim, Claim) else claim.id
    return Outcome(task_id, claim.lease, ending, code)


def commands(answer: Answer) -> list[bytes]:
    """What an answer gives to run."""
    return [claim.command for claim in answer.claims]


def _travel(value: Any) -> Any:
    return decode(encode(value))
