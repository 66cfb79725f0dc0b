"""A server whose tasks wait and to which no client is connected says so, once and then rarely."""

import logging

from hypershell.core.units import counted
from hypershell.runtime import clock
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.worker_messages import Phase

log = logging.getLogger(__name__)

_SAY_AFTER = (10.0, 600.0, 3600.0)
"""Seconds without a client until it is said for the first time, the second, and each time after."""


class NoClients:
    """To be asked now and then, by one thread, whether there is something to say."""

    def __init__(
        self, store: TaskStore, registry: ClientRegistry, scheduled: ScheduledQueue
    ) -> None:
        self._store = store
        self._registry = registry
        self._scheduled = scheduled
        self._since: float | None = None
        self._said = 0

    def look(self) -> None:
        """Say it if it is so, and was for long enough."""
        waiting = 0
        if self._scheduled.phase is Phase.RUNNING and not self._registry.clients():
            waiting = self._store.backlog()[0] + self._scheduled.size()
        now = clock.monotonic()
        if not waiting:
            self._since, self._said = None, 0
            return
        if self._since is None:
            self._since = now
        if now - self._since >= _SAY_AFTER[min(self._said, len(_SAY_AFTER) - 1)]:
            self._since, self._said = now, self._said + 1
            log.warning(
                "no client is connected, and %s; start one with `hyper-shell client`",
                "1 task is waiting" if waiting == 1 else f"{counted(waiting, 'task')} are waiting",
            )
