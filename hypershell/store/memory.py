"""Tasks in memory, for the length of one run: what is final is counted and forgotten."""

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hypershell.core.state import FINAL, TaskState, may_move
from hypershell.core.task import Ending, Outcome, Policy, Task, leased, settle


class StoreClosed(ValueError):
    """The run is over: it takes no more tasks."""


class Recorded(NamedTuple):
    """An outcome that was new, the task it belongs to, and the state the task is in now."""

    task: Task
    state: TaskState
    outcome: Outcome


@dataclass(frozen=True, slots=True)
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
        self._in_state = dict.fromkeys(TaskState, 0)
        self._retried = 0
        self._closed = False
        self._waiting_bytes = 0

    def add(self, tasks: Iterable[Task]) -> None:
        """Take new tasks in, in order; each is WAITING. StoreClosed after the end of the run."""
        added = list(tasks)
        with self._lock:
            if self._closed:
                raise StoreClosed("the run is over")
            self._waiting.extend(added)
            self._waiting_bytes += sum(len(task.line) for task in added)
            self._in_state[TaskState.WAITING] += len(added)

    def lease(self, limit: int, most_bytes: int = 2**62) -> list[Task]:
        """Return up to `limit` waiting tasks under a new lease; each is now SENT.

        Once their lines have `most_bytes` there are no more of them.
        """
        with self._lock:
            urgent = self._lease_from(self._urgent, limit, most_bytes)
            rest = most_bytes - sum(len(task.line) for task in urgent)
            return urgent + self._lease_from(self._waiting, limit - len(urgent), rest)

    def lease_urgent(self) -> list[Task]:
        """The same for all tasks that go before the others."""
        with self._lock:
            return self._lease_from(self._urgent, len(self._urgent), 2**62)

    def _lease_from(self, queue: deque[Task], limit: int, most_bytes: int) -> list[Task]:
        tasks: list[Task] = []
        size = 0
        while queue and len(tasks) < limit and size < most_bytes:
            task = leased(queue.popleft())
            size += len(task.line)
            self._sent[task.id] = task
            tasks.append(task)
        self._waiting_bytes -= size
        self._move(TaskState.WAITING, TaskState.SENT, len(tasks))
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
                recorded.append(Recorded(*settle(task, outcome, self._policy, stopping), outcome))
            for state, number in Counter(r.state for r in recorded).items():
                self._move(TaskState.SENT, state, number)
            for task, state, outcome in recorded:
                if state is not TaskState.SUCCEEDED:
                    self._put(task, state, outcome)
        return recorded

    def take_back(self, tasks: Iterable[Task]) -> None:
        """Leased tasks that no client has taken are WAITING again, before all others."""
        with self._lock:
            for task in tasks:
                del self._sent[task.id]
                self._wait_again(task, first=True)
                self._move(TaskState.SENT, TaskState.WAITING)

    def counts(self) -> Counts:
        """Tasks by state at this moment."""
        with self._lock:
            by_name = {state.value: number for state, number in self._in_state.items()}
            return Counts(**by_name, retried=self._retried)

    def unfinished(self) -> int:
        """How many tasks are not final."""
        with self._lock:
            return sum(n for state, n in self._in_state.items() if state not in FINAL)

    def close_if_finished(self) -> bool:
        """End the run if all tasks are final: nothing can be added then. Whether it is ended."""
        with self._lock:
            unfinished = sum(n for state, n in self._in_state.items() if state not in FINAL)
            self._closed = not unfinished
            return self._closed

    def backlog(self) -> tuple[int, int]:
        """How many tasks wait, and the bytes of their lines."""
        return len(self._waiting) + len(self._urgent), self._waiting_bytes

    def unfinished_numbers(self) -> list[int]:
        """The line numbers of all tasks from the input that are not final, in order."""
        with self._lock:
            tasks = [*self._waiting, *self._urgent, *self._sent.values(), *self._interrupted]
            return sorted(task.number for task in tasks if task.number)

    def _put(self, task: Task, state: TaskState, outcome: Outcome) -> None:
        """Where a task goes that was SENT until now; what is final is not kept."""
        if state is TaskState.WAITING:
            given_back = outcome.ending is Ending.GIVEN_BACK
            self._retried += outcome.ending not in (Ending.GIVEN_BACK, Ending.INTERRUPTED)
            self._wait_again(task, first=given_back or self._policy.eager)
        elif state not in FINAL:
            self._interrupted.append(task)

    def _wait_again(self, task: Task, first: bool) -> None:
        self._waiting_bytes += len(task.line)
        (self._urgent if first else self._waiting).append(task)

    def _move(self, before: TaskState, after: TaskState, number: int = 1) -> None:
        if not may_move(before, after):
            raise AssertionError(f"a task cannot go from {before.value} to {after.value}")
        self._in_state[before] -= number
        self._in_state[after] += number
