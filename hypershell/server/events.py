"""What happens in a server: typed events, and the bus that hands them to those who subscribed.

An event is delivered at once, in the thread that publishes it, to its subscribers in the order in
which they subscribed; `publish` returns when the last of them has. No lock of the store, the
registry or the queues is held meanwhile, so a subscriber may call any of them; it must not wait for
another thread, but for the journal. What a subscriber raises goes to who published the event.

    intake                 TasksAdded InputEnded
    receiver               OutcomesRecorded TasksFinal
    a peer's call          ClientJoined ClientLeft TasksLeased RoomFreed
                           TasksAdded TasksChanged TasksFinal StopAsked
    registry (silence)     ClientLeft
    main                   PhaseChanged TasksFinal, and SignalCame in whichever thread is handed it
    any loop               LoopFailed, as the last thing that it does

Who subscribes to what, and in which order, stands in one place: `Server._subscribe`. An event is
made only if its type has a subscriber, and a batch of tasks is one event.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from hypershell.core.errors import StartError
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.store.tasks.journal import Recorded
from hypershell.wire.worker_messages import Phase

E = TypeVar("E")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class TasksAdded:
    """So many tasks are in the store, durably: lines of the input, or a submission."""

    number: int


@dataclass(frozen=True, slots=True)
class TasksLeased:
    """A client took these tasks from the scheduled queue."""

    client_id: str
    tasks: Sequence[Task]


@dataclass(frozen=True, slots=True)
class OutcomesRecorded:
    """Outcomes are durable, and acknowledged: those that were new.

    None were, where all of them came too late; the clients that gave them hold them no longer.
    """

    recorded: Sequence[Recorded]


@dataclass(frozen=True, slots=True)
class TasksFinal:
    """Tasks (id and state) became final, durably. Outcomes are not acknowledged yet."""

    tasks: Sequence[tuple[int, TaskState]]


@dataclass(frozen=True, slots=True)
class TasksChanged:
    """So many tasks were cancelled, retried or deleted by request."""

    number: int


@dataclass(frozen=True, slots=True)
class RoomFreed:
    """The scheduled queue is half empty, and takes more."""


@dataclass(frozen=True, slots=True)
class InputEnded:
    """No more lines are read: all were, or there is an `error`. All that were read are stored."""

    error: StartError | None


@dataclass(frozen=True, slots=True)
class ClientJoined:
    """A new client is registered. It is welcomed when all subscribers have returned."""

    client_id: str
    host: str
    pid: int
    slots: int


@dataclass(frozen=True, slots=True)
class ClientLeft:
    """A client holds nothing any more: it left, was lost, or is one of a server before this."""

    client_id: str


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    """The run is in this phase now; parked calls are awake."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class LoopFailed:
    """A loop ended with an error: the run cannot go on."""

    name: str
    error: Exception


@dataclass(frozen=True, slots=True)
class RunGivenUp:
    """Whoever started the run says that it cannot go on."""

    error: Exception


@dataclass(frozen=True, slots=True)
class SignalCame:
    """A signal reached the process."""

    number: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A peer told the server to stop; with `drain`, after what runs has finished."""

    drain: bool


class EventBus:
    """Safe to use from several threads; publishing takes no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
