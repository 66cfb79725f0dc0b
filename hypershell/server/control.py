"""The client plane of the server: what people and scripts call."""

import logging
import time
from collections.abc import Callable
from typing import Any

from hypershell.core.state import TaskState
from hypershell.core.task import LONGEST_LINE, is_task, new_task
from hypershell.server.roster import Client, Roster
from hypershell.server.scheduled import ScheduledQueue
from hypershell.store.tasks import TaskStore
from hypershell.wire.control import SUBMIT_SECONDS

log = logging.getLogger(__name__)


class Control:
    """The object behind the client plane. Its public methods are the verbs, and no others.

    `facts` is what the server is known by; `stop` is called with whether to drain.
    All arguments come from peers: each verb checks them and raises ValueError.
    """

    def __init__(
        self,
        store: TaskStore,
        roster: Roster,
        scheduled: ScheduledQueue,
        facts: dict[str, Any],
        has_room: Callable[[float], bool],
        added: Callable[[], None],
        stop: Callable[[bool], None],
    ) -> None:
        self._store = store
        self._roster = roster
        self._scheduled = scheduled
        self._facts = facts
        self._has_room = has_room
        self._added = added
        self._stop = stop

    def submit(self, lines: Any) -> list[int]:
        """Add lines as tasks, all or none; none if there is no room for a while."""
        if not isinstance(lines, list):
            raise ValueError("not a list of lines")
        for line in lines:
            if not isinstance(line, bytes) or not is_task(line):
                raise ValueError("not a line with a task")
            if b"\0" in line or b"\n" in line or len(line) > LONGEST_LINE:
                raise ValueError("a line that cannot be run")
        if not self._has_room(SUBMIT_SECONDS):
            return []
        tasks = [new_task(line, 0, self._store.new_id()) for line in lines]
        self._store.add(tasks)
        self._added()
        return [task.id for task in tasks]

    def info(self) -> dict[str, Any]:
        """What the server is, its tasks by state, its clients."""
        counts = self._store.counts()
        tasks = {state.value: getattr(counts, state.value) for state in TaskState}
        # What no client has taken yet waits, whatever the store calls it.
        untaken = min(self._scheduled.size(), counts.sent)
        tasks["sent"] -= untaken
        tasks["waiting"] += untaken
        clients = [_shown(client) for client in self._roster.clients()]
        return self._facts | {"tasks": tasks | {"retried": counts.retried}, "clients": clients}

    def stop(self, drain: Any) -> None:
        """End the run; with `drain`, after what runs has finished."""
        if not isinstance(drain, bool):
            raise ValueError("not a stop")
        log.info("told to stop%s", " when what runs has finished" if drain else "")
        self._stop(drain)


def _shown(client: Client) -> dict[str, Any]:
    """A client as `info` shows it. `last_heard` is in seconds ago."""
    return {
        "id": client.id,
        "host": client.host,
        "pid": client.pid,
        "slots": client.slots,
        "holds": len(client.claims),
        "running": min(client.slots, len(client.claims)),
        "done": client.done,
        "failed": client.failed,
        "last_heard": round(time.monotonic() - client.heard, 3),
        "load": client.load,
        "memory_percent": client.memory_percent,
    }
