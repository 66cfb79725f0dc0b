"""Tasks that the next loss condemns: they run at the end, and each alone on its client.

A task whose clients died is suspect: it may be what kills them. While its client runs other tasks
as well, these become suspect with it. So before a task is condemned it runs with nothing beside
it, and then it is clear who is to blame. That costs a whole client for as long as it runs, so it
waits until nothing else is left to hand out. Where new tasks keep coming, it waits for no longer
than PATIENCE_SECONDS: then one client is set aside, which is given nothing more until what it runs
has ended and it can take the task.

It has no lock: that of the scheduled queue is held by whoever calls. Time is monotonic, in seconds.
"""

from collections.abc import Iterator

from hypershell.core.retry import is_last_chance
from hypershell.core.task import Task
from hypershell.server.state.barriers import Barriers
from hypershell.server.state.client import GONE, Client
from hypershell.server.state.matching import Bundle

PATIENCE_SECONDS = 600.0
"""How long such a task waits at most for the others before a client is set aside for it."""


class LastChances:
    """Those of the queue that are suspect and would be condemned by one loss more."""

    def __init__(self, barriers: Barriers, max_lost: int) -> None:
        self._barriers = barriers
        self._max_lost = max_lost
        self._waiting: dict[int, tuple[Task, float]] = {}  # with when they came
        self._aside: Client | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Bundle]:
        return ([task] for task, _ in self._waiting.values())

    def admits(self, task: Task) -> bool:
        """Whether this is such a task."""
        return is_last_chance(task, self._max_lost)

    def add(self, task: Task, now: float) -> None:
        """It waits here."""
        self._waiting[task.id] = task, now

    def remove(self, pairs: set[tuple[int, int]]) -> list[Task]:
        """Take out these (task id, lease), as far as they are here, and return them."""
        found = [task for task, _ in self._waiting.values() if (task.id, task.lease) in pairs]
        for task in found:
            del self._waiting[task.id]
        return found

    def clear(self) -> None:
        """None waits any more."""
        self._waiting.clear()

    def is_alone(self, client: Client) -> bool:
        """Whether a client runs such a task now, and so may be given nothing beside it."""
        most = max(client.suspects.values(), default=0)
        return 0 < most >= self._max_lost - 1

    def first_for(self, client: Client, others_wait: bool, now: float) -> Task | None:
        """The first that may go to a client now, which must hold nothing; `others_wait` for it."""
        if client.claims:
            return None
        for task, since in self._waiting.values():
            if others_wait and now - since < PATIENCE_SECONDS:
                return None
            if client.can_take(self._barriers.needs_of(task)) and self._may_have(client, task, now):
                return task
        return None

    def take(self, task: Task) -> None:
        """It goes to a client."""
        del self._waiting[task.id]
        self._aside = None

    def sets_aside(self, client: Client, now: float) -> bool:
        """Whether a client, which holds other tasks, gets nothing until it can take one of these.

        One client at a time: the first that asks when patience with the others is over.
        """
        first = next(iter(self._waiting.values()), None)
        if first is None or now - first[1] < PATIENCE_SECONDS:
            return False
        if self._aside is None or self._aside.session == GONE or self._aside.want <= 0:
            self._aside = client if self._may_have(client, first[0], now) else None
        return self._aside is client

    def _may_have(self, client: Client, task: Task, now: float) -> bool:
        barrier = self._barriers.barrier_of(task)
        return barrier is None or self._barriers.lets(client, barrier, now)
