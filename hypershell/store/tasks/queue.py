"""Tasks that wait, in the order in which they go out."""

import heapq
from collections import deque

from hypershell.core.task import Task

Key = tuple[int, int, int, int]
"""Group, priority (negated), sequence, id: the smallest goes first."""


def key_of(task: Task) -> Key:
    """Where a task stands."""
    return task.group, -task.priority, task.sequence, task.id


class TaskQueue:
    """A queue of tasks. Not thread-safe: its owner locks it. `size` is bytes of lines."""

    def __init__(self) -> None:
        # Most come in the order in which they go, and need no heap. A key stays here when its task
        # is removed, until it is the first.
        self._in_order: deque[Key] = deque()
        self._heap: list[Key] = []
        self._tasks: dict[int, Task] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: int) -> bool:
        return task_id in self._tasks

    def push(self, task: Task) -> None:
        """Add a task."""
        key = key_of(task)
        if not self._in_order or key > self._in_order[-1]:
            self._in_order.append(key)
        else:
            heapq.heappush(self._heap, key)
        self._tasks[task.id] = task
        self.size += len(task.line)

    def pop(self, limit: int, most_bytes: int, last: Key) -> list[Task]:
        """Remove and return the first tasks, none of them after `last`.

        At most `limit`; once their lines have `most_bytes` there are no more of them.
        """
        tasks: list[Task] = []
        size = 0
        while len(tasks) < limit and size < most_bytes:
            key = self.first()
            if key is None or key > last:
                break
            task = self._tasks.pop(key[3])
            size += len(task.line)
            tasks.append(task)
        self.size -= size
        return tasks

    def remove(self, task_id: int) -> Task | None:
        """Take one task out, if it is here."""
        task = self._tasks.pop(task_id, None)
        if task is not None:
            self.size -= len(task.line)
        return task

    def cut(self, number: int) -> Key:
        """Keep the first tasks, at most this many, and return the place of the last one."""
        ordered = sorted(self._tasks.values(), key=key_of)
        for task in ordered[number:]:
            self.remove(task.id)
        self._in_order = deque(key_of(task) for task in ordered[:number])
        self._heap = []
        return self._in_order[-1]

    def cut_after(self, last: Key) -> None:
        """Drop all tasks after a place."""
        later = [task.id for task in self._tasks.values() if key_of(task) > last]
        for task_id in later:
            self.remove(task_id)

    def numbers(self) -> list[int]:
        """The line numbers of all that is here."""
        return [task.number for task in self._tasks.values()]

    def get(self, task_id: int) -> Task | None:
        """One task, if it is here."""
        return self._tasks.get(task_id)

    def first(self) -> Key | None:
        """Where the first task stands."""
        in_order, heap = self._in_order, self._heap
        while in_order or heap:
            from_heap = bool(heap) and (not in_order or heap[0] < in_order[0])
            key = heap[0] if from_heap else in_order[0]
            task = self._tasks.get(key[3])
            if task is not None and task.sequence == key[2]:
                return key
            if from_heap:
                heapq.heappop(heap)
            else:
                in_order.popleft()
        return None
