"""The tasks that were handed out: which of them have begun, and which are to be cancelled.

The invariant: a task is here, under its present lease, from the moment in which it is leased until
an outcome of that lease is recorded. It is SENT until somebody says that it has begun, and RUNNING
from then on; that is said at most once for a lease.
"""

from collections.abc import Iterable, Sequence

from hypershell.core.begun import Begun
from hypershell.core.state import TaskState
from hypershell.core.task import Task

Pair = tuple[int, int]
"""A task's id, and a lease."""


class HandedOut:
    """Not thread-safe: its owner locks it. `tasks` are all of them by id."""

    def __init__(self, tasks: Iterable[Task], running: set[int], cancelling: set[int]) -> None:
        self.tasks = {task.id: task for task in tasks}
        self._running = running
        self._cancelling = cancelling

    def put(self, tasks: Iterable[Task]) -> None:
        """These were leased."""
        for task in tasks:
            self.tasks[task.id] = task

    def take_out(self, task_id: int) -> TaskState:
        """A task is not handed out any more; the state in which it was."""
        del self.tasks[task_id]
        if task_id not in self._running:
            return TaskState.SENT
        self._running.discard(task_id)
        return TaskState.RUNNING

    def state_of(self, task_id: int) -> TaskState:
        """The state of a task that is here."""
        return TaskState.RUNNING if task_id in self._running else TaskState.SENT

    def is_out(self, pair: Pair) -> bool:
        """Whether a task is out under this very lease."""
        task = self.tasks.get(pair[0])
        return task is not None and task.lease == pair[1]

    def begin(self, begun: Iterable[Begun]) -> list[Begun]:
        """Those of these, now RUNNING, that are out under this lease and were not before."""
        new = []
        for each in begun:
            if each.task_id not in self._running and self.is_out((each.task_id, each.lease)):
                self._running.add(each.task_id)
                new.append(each)
        return new

    def is_cancelling(self) -> bool:
        """Whether any is to be cancelled."""
        return bool(self._cancelling)

    def cancel(self, task_ids: Sequence[int]) -> None:
        """Note that these, which are here, are to be cancelled."""
        self._cancelling.update(task_ids)

    def forget_cancel(self, task_id: int) -> bool:
        """Whether a task was to be cancelled, which is not asked again."""
        if task_id not in self._cancelling:
            return False
        self._cancelling.discard(task_id)
        return True

    def to_cancel(self) -> list[Pair]:
        """Those to be cancelled, each with its lease."""
        return [(i, self.tasks[i].lease) for i in self._cancelling if i in self.tasks]
