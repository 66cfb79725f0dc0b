"""Tasks that wait, in the order in which they go out."""

import heapq

from hypershell.core.task import Task

Key = tuple[int, int, int, int]
"""Group, priority (negated), turn, id: the least goes first."""


def key_of(task: Task) -> Key:
    """Where a task stands."""
    return task.group, -task.priority, task.turn, task.id


class Waiting:
    """A heap of tasks. Not safe by itself: whoever has it has a lock. `size` is bytes of lines."""

    def __init__(self) -> None:
        self._heap: list[Key] = []
        self._tasks: dict[int, Task] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: int) -> bool:
        return task_id in self._tasks

    def push(self, task: Task) -> None:
        """Add a task."""
        heapq.heappush(self._heap, key_of(task))
        self._tasks[task.id] = task
        self.size += len(task.line)

    def pop(self, limit: int, most_bytes: int, last: Key) -> list[Task]:
        """Remove and return the first tasks, none that stands behind `last`.

        At most `limit`; once their lines have `most_bytes` there are no more of them.
        """
        tasks: list[Task] = []
        size = 0
        heap, waiting = self._heap, self._tasks
        while heap and len(tasks) < limit and size < most_bytes and heap[0] <= last:
            key = heapq.heappop(heap)
            task = waiting.get(key[3])
            if task is None or task.turn != key[2]:
                continue  # it was removed; perhaps it is here again, with another turn
            del waiting[task.id]
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
        """Keep the first so many tasks, and return where the last of them stands."""
        ordered = sorted(self._tasks.values(), key=key_of)
        for task in ordered[number:]:
            self.remove(task.id)
        self._heap = [key_of(task) for task in ordered[:number]]
        return self._heap[-1]

    def cut_behind(self, last: Key) -> None:
        """Drop all tasks that stand behind a place."""
        behind = [task.id for task in self._tasks.values() if key_of(task) > last]
        for task_id in behind:
            self.remove(task_id)

    def numbers(self) -> list[int]:
        """The line numbers of all that is here."""
        return [task.number for task in self._tasks.values()]

    def get(self, task_id: int) -> Task | None:
        """One task, if it is here."""
        return self._tasks.get(task_id)

    def first(self) -> Key | None:
        """Where the first task stands."""
        heap = self._heap
        while heap:
            task = self._tasks.get(heap[0][3])
            if task is not None and task.turn == heap[0][2]:
                return heap[0]
            heapq.heappop(heap)
        return None
