"""What happens in a server: typed events, and the bus that hands them to those who subscribed.

An event is delivered at once, in the thread that publishes it, to its subscribers in the order in
which they subscribed; `publish` returns when the last of them has. No lock of the store, the
registry or the queues is held meanwhile, so a subscriber may call any of them; it must not wait for
another thread, but for the journal. What a subscriber raises goes to who published the event.

    intake                 TasksAdded InputEnded
    receiver               OutcomesRecorded TasksFinal HaltMet
    a peer's call          ClientJoined ClientLeft TasksLeased TasksBegun CapacityFreed
                           TasksAdded TasksChanged TasksFinal StopAsked
    registry (silence)     ClientLeft
    main                   PhaseChanged TasksFinal, and SignalCame in whichever thread is handed it
    any loop               LoopFailed, as the last thing that it does

Who subscribes to what, and in which order, stands in one place: `Server._subscribe`. An event is
made only if its type has a subscriber, and a batch of tasks is one event. They are named tuples, as
fifteen dataclasses would take as long to define as all else that the server imports of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

from hypershell.core.begun import Begun
from hypershell.core.errors import StartError
from hypershell.core.halt import HaltRule
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.runtime import threads
from hypershell.store.tasks.journal import Recorded
from hypershell.wire.worker_messages import Phase

E = TypeVar("E")
P = ParamSpec("P")


class TasksAdded(NamedTuple):
    """Tasks were added, durably: lines of the input, or a submission."""

    number: int


class TasksLeased(NamedTuple):
    """A client took these tasks from the scheduled queue."""

    client_id: str
    tasks: Sequence[Task]


class TasksBegun(NamedTuple):
    """A client says that it has begun these tasks, which it holds, and that they still run."""

    client_id: str
    begun: Sequence[Begun]


class OutcomesRecorded(NamedTuple):
    """Outcomes are durable, and acknowledged: those that were new.

    None were, where all of them came too late; the clients that gave them hold them no longer.
    """

    recorded: Sequence[Recorded]


class TasksFinal(NamedTuple):
    """Tasks (id and state) became final, durably. Outcomes are not acknowledged yet."""

    tasks: Sequence[tuple[int, TaskState]]


class TasksChanged(NamedTuple):
    """Tasks were cancelled, retried or deleted by request, durably."""

    number: int


class CapacityFreed(NamedTuple):
    """The scheduled queue is half empty, and takes more."""


class InputEnded(NamedTuple):
    """No more lines are read: all were, or there is an `error`. All that were read are stored."""

    error: StartError | None


class ClientJoined(NamedTuple):
    """A new client is registered. It is welcomed when all subscribers have returned."""

    client_id: str
    host: str
    pid: int
    slots: int


class ClientLeft(NamedTuple):
    """A client holds nothing any more: it left, was lost, or is one of a server before this."""

    client_id: str


class ClientSetAside(NamedTuple):
    """A client failed what others do not: it gets nothing more."""

    client_id: str


class PhaseChanged(NamedTuple):
    """The run is in this phase now; parked calls are awake."""

    phase: Phase


class LoopFailed(NamedTuple):
    """A loop ended with an error: the run cannot go on."""

    name: str
    error: Exception


class RunGivenUp(NamedTuple):
    """The run cannot go on, says the one who started it."""

    error: Exception


class SignalCame(NamedTuple):
    """A signal reached the process."""

    number: int


class StopAsked(NamedTuple):
    """A peer asked the server to stop; with `drain`, after what runs has finished."""

    drain: bool


class HaltMet(NamedTuple):
    """The run ends by this rule, which was met by this task."""

    rule: HaltRule
    task_id: int


class EventBus:
    """Safe to use from several threads; publishing takes no lock."""

    def __init__(self) -> None:
        self._lock = threads.lock("events")
        self._subscribers: dict[object, tuple[Callable[[Any], object], ...]] = {}

    def subscribe(self, subscriber: Callable[[E], object], *kinds: type[E]) -> None:
        """Have `subscriber` called with each event of these types from now on, after the others."""
        with self._lock:
            for kind in kinds:
                self._subscribers[kind] = (*self._subscribers.get(kind, ()), subscriber)

    def publish(self, kind: Callable[P, object], *facts: P.args, **named: P.kwargs) -> None:
        """Make an event of these facts and deliver it; do neither if nobody subscribed to it."""
        subscribers = self._subscribers.get(kind)
        if subscribers is None:
            return
        event = kind(*facts, **named)
        for subscriber in subscribers:
            subscriber(event)
