"""Clients of this machine that were killed together with their supervisor: they need no lease.

Nobody reports them, but what they left does (`Traces`): once it is clear that nothing of such a
client lives, its tasks are rescheduled. It looks at the clients of a server before this that have
not come back, and at its own that have been quiet for a moment; it gives to the finished queue.

Nothing tells when a process ends that is no child, so it looks now and then: often while there is
one to wait for, and once a second else. A client may be killed between two looks, just before its
lease is over: so a loop that gives up clients by their lease calls `end` first. The lock "dead
clients" is held during a look, and is the outermost of all.
"""

import logging
import socket
from collections.abc import Iterable
from typing import Protocol

from hypershell.core.begun import Begun, GoneClient
from hypershell.core.units import counted
from hypershell.runtime import clock, threads
from hypershell.runtime.backoff import Backoff
from hypershell.server.events import ClientLeft, EventBus, TasksBegun
from hypershell.server.loops.orphans import Orphans
from hypershell.server.state.client import Client
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.registry import ClientRegistry, Departure
from hypershell.server.state.scheduled_queue import ScheduledQueue

log = logging.getLogger(__name__)

_QUIET_SECONDS = 1.0
"""Without a word, after which it is looked whether a client is dead."""

_LOOK_SECONDS = 1.0

_FIRST_SECONDS, _LAST_SECONDS, _FACTOR = 0.1, 2.0, 1.1
"""Between two looks at what is dead and not gone, or has not come back."""

_END_SECONDS = 3.0
"""How long what is left of dead clients is waited for when their lease is over."""

_END_LOOK_SECONDS = 0.05


class Traces(Protocol):
    """What dead clients left on this machine."""

    @property
    def is_busy(self) -> bool:
        """Whether one of the clients that were last looked for is dead, and not gone yet."""

    def look(self, client_ids: Iterable[str]) -> list[GoneClient]:
        """Those of these clients that are gone; what is left of those that are dead is ended."""

    def remove(self, client_id: str) -> None:
        """All that there was to be known of a client that is gone is known."""


class DeadClients:
    """A loop, and `end` for other threads. Publishes TasksBegun and ClientLeft."""

    def __init__(
        self,
        traces: Traces,
        orphans: Orphans,
        registry: ClientRegistry,
        scheduled: ScheduledQueue,
        finished: FinishedQueue,
        bus: EventBus,
    ) -> None:
        self._lock = threads.lock("dead clients")
        self._traces = traces
        self._orphans = orphans
        self._registry = registry
        self._scheduled = scheduled
        self._finished = finished
        self._bus = bus
        self._host = socket.gethostname()
        self._stopped = threads.event()
        self._backoff = Backoff(_FIRST_SECONDS, _LAST_SECONDS, factor=_FACTOR)

    def one_pass(self) -> bool:
        """Look, and wait until the next look is due."""
        is_busy = self._look([*self._orphans.absent(), *self._quiet()])
        self._stopped.wait(self._pause(is_busy=is_busy))
        return not self._stopped.is_set()

    def end(self, client_ids: Iterable[str]) -> None:
        """End what is left of those of these clients that are dead: others are to get their tasks.

        It waits for that, for a few seconds at most.
        """
        wanted = list(client_ids)
        deadline = clock.monotonic() + _END_SECONDS
        while self._look(wanted) and clock.monotonic() < deadline:
            clock.sleep(_END_LOOK_SECONDS)

    def _look(self, client_ids: Iterable[str]) -> bool:
        """Deal with those of these clients that are gone; whether one is dead, and not gone yet."""
        with self._lock:
            absent = self._orphans.absent()
            for gone in self._traces.look(client_ids):
                if gone.client_id in absent:
                    self._previous_is_gone(gone)
                else:
                    self._own_is_gone(gone)
                self._traces.remove(gone.client_id)
            return self._traces.is_busy

    def wake(self) -> None:
        """End the wait, and look no more."""
        self._stopped.set()

    def _quiet(self) -> list[str]:
        """The clients of this machine that have not been heard for a moment."""
        quiet_since = clock.monotonic() - _QUIET_SECONDS
        return [
            client.id
            for client in self._registry.clients()
            if client.host == self._host and client.heard < quiet_since
        ]

    def _pause(self, *, is_busy: bool) -> float:
        if is_busy or self._orphans.absent():
            return self._backoff.pause()
        self._backoff.reset()
        return _LOOK_SECONDS

    def _previous_is_gone(self, gone: GoneClient) -> None:
        """A client that only a server before this knew: what it had begun is no loss."""
        began = [*gone.begun, *gone.interrupted]
        # First of all durable: if this server dies too, the next one must not think it never began.
        self._bus.publish(TasksBegun, gone.client_id, [Begun(*pair, 0.0, 0, 0) for pair in began])
        outcomes = self._orphans.give_up_begun(gone.client_id, began)
        log.info(
            "client %s of the previous server has ended%s",
            gone.client_id,
            f"; rescheduling {counted(len(outcomes), 'task')} it had begun" if outcomes else "",
        )
        if outcomes:
            self._finished.put(Client(gone.client_id, "", 0, 1, 0.0), outcomes)
        self._bus.publish(ClientLeft, gone.client_id)

    def _own_is_gone(self, gone: GoneClient) -> None:
        departure = Departure(True, gone.begun, gone.interrupted)
        left = self._registry.leave(gone.client_id, departure)
        if left is None:
            return  # it was given up meanwhile
        client, held = left
        self._scheduled.wake_all()  # a call of its own that is parked must not take anything more
        log.warning(
            "client %s was killed together with its supervisor; rescheduling its %s",
            client.id,
            counted(len(held), "task"),
        )
        if held:
            self._finished.put(client, held)
