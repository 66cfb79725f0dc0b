"""Outcomes that clients earned before they were given up, and hand in when they are back."""

import logging
from collections import OrderedDict
from collections.abc import Callable

from hypershell.core.outcome import Outcome
from hypershell.core.units import counted
from hypershell.runtime import threads
from hypershell.server.events import EventBus, OutcomesRecorded
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.journal import Recorded
from hypershell.wire.worker_messages import Phase

log = logging.getLogger(__name__)

TakeLate = Callable[[str, list[Outcome], bool, Callable[[list[Recorded]], object]], int]
"""`Scheduler.take_late`."""

_MOST_STRANGERS = 1000
"""Ids that are remembered as said to be unknown."""


class LateOutcomes:
    """May be called from several threads.

    Taken are outcomes of an attempt that was given up, as long as the next one was not handed out.
    Everything else is refused, and said once for each time that a client hands something in.
    """

    def __init__(
        self,
        registry: ClientRegistry,
        take_late: TakeLate,
        scheduled: ScheduledQueue,
        bus: EventBus,
    ) -> None:
        self._registry = registry
        self._take_late = take_late
        self._scheduled = scheduled
        self._bus = bus
        self._lock = threads.lock("late outcomes")
        self._strangers: OrderedDict[str, None] = OrderedDict()

    def take(self, client_id: str, earlier_id: str, secret: str, outcomes: list[Outcome]) -> int:
        """Record what can be taken of the outcomes that this client earned as `earlier_id`.

        Blocks until it is durable; returns how many were taken.
        """
        if not self._registry.is_secret_of(earlier_id, secret):
            self._refuse(client_id, earlier_id, len(outcomes))
            return 0
        taken = self._take_late(
            earlier_id,
            outcomes,
            self._scheduled.phase >= Phase.STOPPING,
            lambda recorded: self._bus.publish(OutcomesRecorded, recorded),
        )
        refused = len(outcomes) - taken
        log.info(
            "client %s handed in %s of its earlier time as client %s%s",
            client_id,
            counted(taken, "result"),
            earlier_id,
            f"; {refused} came too late" if refused else "",
        )
        return taken

    def _refuse(self, client_id: str, earlier_id: str, number: int) -> None:
        with self._lock:
            is_known = earlier_id in self._strangers
            self._strangers[earlier_id] = None
            if len(self._strangers) > _MOST_STRANGERS:
                self._strangers.popitem(last=False)
        if not is_known:
            log.warning(
                "refused %s of client %s: it has not shown that it was client %s here",
                counted(number, "result"),
                client_id,
                ascii(earlier_id[:16]),
            )
