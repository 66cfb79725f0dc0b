"""Tasks in memory, for the length of one run: what is final is counted and forgotten."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hypershell.core.state import FINAL, TaskState, may_move
from hypershell.core.task import Ending, Outcome, Policy, Task, leased, settle


@dataclass(frozen=True, slots=True)
class Recorded:
    """An outcome that was new, the task it belongs to, and the state the task is in now."""

    task: Task
    outcome: Outcome
    state: TaskState


@dataclass(slots=True)
class Counts:
    """Tasks by state, and how many further attempts were granted after a failure or a loss."""

    waiting: int = 0
    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    interrupted: int = 0
    cancelled: int = 0
    retried: int = 0

    @property
    def total(self) -> int:
        """All tasks of the run."""
        return (
            self.waiting
            + self.sent
            + self.succeeded
            + self.failed
            + self.interrupted
            + self.cancelled
        )

    @property
    def unfinished(self) -> int:
        """Tasks that are not final."""
        return self.waiting + self.sent + self.interrupted


class MemoryStore:
    """The tasks of one run. Safe to use from several threads."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._waiting: deque[Task] = deque()
        self._urgent: deque[Task] = deque()  # goes before what waits
        self._sent: dict[int, Task] = {}
        self._interrupted: list[Task] = []
        self._counts = Counts()
        self._waiting_bytes = 0

    def add(self, tasks: Iterable[Task]) -> None:
        """Take new tasks in, in order; each is WAITING."""
        with self._lock:
            for task in tasks:
                self._waiting.append(task)
                self._waiting_bytes += len(task.line)
                self._counts.waiting += 1

    def lease(self, limit: int) -> list[Task]:
        """Return up to `limit` waiting tasks under a new lease; each is now SENT."""
        with self._lock:
            urgent = self._lease_from(self._urgent, limit)
            return urgent + self._lease_from(self._waiting, limit - len(urgent))

    def lease_urgent(self) -> list[Task]:
        """The same for all tasks that go before the others."""
        with self._lock:
            return self._lease_from(self._urgent, len(self._urgent))

    def _lease_from(self, queue: deque[Task], limit: int) -> list[Task]:
        tasks = [leased(queue.popleft()) for _ in range(min(limit, len(queue)))]
        for task in tasks:
            self._waiting_bytes -= len(task.line)
            self._sent[task.id] = task
            self._move(TaskState.WAITING, TaskState.SENT)
        return tasks

    def record(self, outcomes: Iterable[Outcome], stopping: bool = False) -> list[Recorded]:
        """Store outcomes and return those that were new.

        An outcome for an older lease is dropped: a client given up for dead may still answer.
        """
        recorded = []
        with self._lock:
            for outcome in outcomes:
                task = self._sent.get(outcome.task_id)
                if task is None or task.lease != outcome.lease:
                    continue
                del self._sent[task.id]
                task, state = settle(task, outcome, self._policy, stopping)
                self._put(task, outcome, state)
                recorded.append(Recorded(task, outcome, state))
        return recorded

    def take_back(self, tasks: Iterable[Task]) -> None:
        """Leased tasks that no client has taken are WAITING again, before all others."""
        with self._lock:
            for task in reversed(list(tasks)):
                del self._sent[task.id]
                self._wait_again(task, first=True)

    def counts(self) -> Counts:
        """Tasks by state at this moment."""
        with self._lock:
            return replace(self._counts)

    def backlog(self) -> tuple[int, int]:
        """How many tasks wait, and the bytes of their lines."""
        return len(self._waiting) + len(self._urgent), self._waiting_bytes

    def unfinished_numbers(self) -> list[int]:
        """The line numbers of all tasks that are not final, in order."""
        with self._lock:
            tasks = [*self._waiting, *self._urgent, *self._sent.values(), *self._interrupted]
            return sorted(task.number for task in tasks)

    def _put(self, task: Task, outcome: Outcome, state: TaskState) -> None:
        """Where a task goes that was SENT until now; what is final is not kept."""
        if state is TaskState.WAITING:
            given_back = outcome.ending is Ending.GIVEN_BACK
            self._counts.retried += not given_back
            self._wait_again(task, first=given_back or self._policy.eager)
            return
        self._move(TaskState.SENT, state)
        if state not in FINAL:
            self._interrupted.append(task)

    def _wait_again(self, task: Task, first: bool) -> None:
        self._move(TaskState.SENT, TaskState.WAITING)
        self._waiting_bytes += len(task.line)
        if first:
            self._urgent.append(task)
        else:
            self._waiting.append(task)

    def _move(self, before: TaskState, after: TaskState) -> None:
        if not may_move(before, after):
            raise AssertionError(f"a task cannot go from {before.value} to {after.value}")
        counts = self._counts
        setattr(counts, before.value, getattr(counts, before.value) - 1)
        setattr(counts, after.value, getattr(counts, after.value) + 1)
