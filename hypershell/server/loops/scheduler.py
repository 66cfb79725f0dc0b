"""Moves waiting tasks from the store to the scheduled queue."""

import itertools
from collections.abc import Callable, Sequence

from hypershell.core.outcome import Outcome
from hypershell.core.resources import NO_NEEDS, TaskNeeds
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC
from hypershell.runtime import threads
from hypershell.server.state.bundles import MAX_BYTES
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.journal import Recorded
from hypershell.store.tasks.task_store import TaskStore


class Scheduler:
    """Leases tasks and offers them in bundles, while there are tasks and the queue has capacity."""

    def __init__(
        self,
        store: TaskStore,
        scheduled: ScheduledQueue,
        bundlesize: int,
        needs: TaskNeeds = NO_NEEDS,
    ) -> None:
        self._needs = needs
        self._store = store
        self._scheduled = scheduled
        self._bundlesize = bundlesize
        self._poked = threads.event()
        self._one_at_a_time = threads.lock("scheduler")
        self._closed = False

    def poke(self, _: object = None) -> None:
        """Wake the loop: after any event there may be something to do."""
        self._poked.set()

    def one_pass(self) -> bool:
        """Wait until poked, or until a delayed task is due, then move what can be moved."""
        self._poked.wait(self._scheduled.until_due())
        self._poked.clear()
        self._scheduled.release_due()
        self.dispatch()
        return True

    def close(self) -> None:
        """Lease nothing more from now on."""
        with self._one_at_a_time:
            self._closed = True

    def dispatch(self) -> None:
        """Move tasks until nothing waits or the queue is full."""
        with self._one_at_a_time:
            while not self._closed and (capacity := self._scheduled.capacity()):
                whole_bundles = max(capacity // self._bundlesize, 1) * self._bundlesize
                tasks = self._store.lease(whole_bundles, MAX_BYTES)
                if not tasks:
                    return
                self._offer(tasks)

    def _offer(self, tasks: list[Task]) -> None:
        """Offer tasks in order; those that must not wait may have come to wait just before."""
        if not tasks[0].sequence:
            urgent = list(itertools.takewhile(lambda task: not task.sequence, tasks))
            self._scheduled.offer([[task] for task in urgent], first=True)
            tasks = tasks[len(urgent) :]
        if tasks:
            self._scheduled.offer(self._bundles(tasks))

    def dispatch_urgent(self) -> None:
        """Move tasks that must not wait before all that is scheduled.

        The receiver calls this, so that an eager retry is out before its client asks again.
        """
        with self._one_at_a_time:
            if not self._closed and (tasks := self._store.lease_urgent()):
                self._scheduled.offer([[task] for task in tasks], first=True)
                self.poke()  # one of them may be delayed, and due before all others

    def take_late(
        self,
        client: str,
        outcomes: Sequence[Outcome],
        stopping: bool,
        recorded: Callable[[list[Recorded]], object],
    ) -> int:
        """Record outcomes of attempts that were given up, while nothing is leased: how many were
        taken, since no client had got their tasks again.

        `recorded` is called with them before anything else is leased, or the scheduler is closed.
        """
        with self._one_at_a_time:
            if self._closed:
                return 0
            late = self._store.late_ones(outcomes)
            untaken = self._scheduled.withdraw({outcome.task_id for outcome in late})
            taken = self._store.record_late(client, late, {task.id for task in untaken}, stopping)
            if taken:
                recorded(taken)
        self.poke()
        return len(taken)

    def _bundles(self, tasks: list[Task]) -> list[list[Task]]:
        """Bundles in order. A task that was out before goes alone: its bundle is history.

        So does one with needs.
        """
        bundles: list[list[Task]] = []
        fresh: list[Task] = []
        for task in tasks:
            if task.lease > 1 or (task.spec is not DEFAULT_SPEC and self._needs.of(task.spec)):
                bundles.append([task])
                continue
            if len(fresh) % self._bundlesize == 0:
                fresh = []
                bundles.append(fresh)
            fresh.append(task)
        return bundles
