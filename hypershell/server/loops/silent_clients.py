"""Gives up clients that were not heard for their lease: their tasks are rescheduled.

It asks the registry who is silent, and gives what such a client held to the finished queue.
"""

import logging
from collections.abc import Callable, Iterable

from hypershell.core.units import counted
from hypershell.server.events import ClientLeft, EventBus
from hypershell.server.state.client import Client
from hypershell.server.state.finished_queue import Batch, FinishedQueue
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
"""How long one look waits for a client that is silent."""


class SilentClients:
    """Used by one thread. Publishes ClientLeft.

    `end_dead` is called with the ids of clients before their tasks are rescheduled: it ends what is
    left of those that are dead, as far as that can be known.
    """

    def __init__(
        self,
        registry: ClientRegistry,
        scheduled: ScheduledQueue,
        finished: FinishedQueue,
        bus: EventBus,
        lease_seconds: float,
        end_dead: Callable[[Iterable[str]], None] = lambda client_ids: None,
    ) -> None:
        self._end_dead = end_dead
        self._registry = registry
        self._scheduled = scheduled
        self._finished = finished
        self._bus = bus
        self._lease_seconds = lease_seconds

    def give_up(self) -> None:
        """Give up those that are silent, waiting a few seconds at most for the first."""
        silent = self._registry.wait_for_silent(timeout=_LOOK_SECONDS)
        if silent:
            self._end_dead([client.id for client in silent])
        for client in silent:
            self._give_up(client)

    def _give_up(self, client: Client) -> None:
        gone = self._registry.give_up_if_silent(client)
        if gone is None:
            return
        self._scheduled.wake_all()
        _, held = gone
        log.warning(
            "lost contact with client %s on %s for %g s; its %s %s rescheduled",
            client.id,
            client.host,
            self._lease_seconds,
            counted(len(held), "task"),
            "is" if len(held) == 1 else "are",
        )
        # Not before: the next server takes what a client that left had not begun as never begun.
        if not held or self._finished.give(Batch(client, held), self._lease_seconds):
            self._bus.publish(ClientLeft, client.id)
