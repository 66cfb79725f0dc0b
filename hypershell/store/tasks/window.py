"""The tasks that wait and are in memory: all of them, or the first, and the journal has the rest.

The invariant: a task that waits is here if the window is complete, or if its key is not after
`_last`; otherwise the journal alone has it. So what is first here is first of all, and a task may
be handed out without asking the database. A window that has grown too large is cut in half, and
`_last` moves back; `fill` moves it on.

The store calls everything with its lock held, from any thread, but for `fill`: the scheduler's loop
calls that one without the lock, and nobody else does. `fill` takes the lock twice, and reads the
journal in between without it, as a question waits for all writes before it. Meanwhile others go on:
tasks that come to wait are put into `_arrived`, ids that cease to wait into `_struck`, and when the
lock is taken again these win over what was read, which is older. Tasks that are out (`sent`) may
have been read as waiting as well. The order at the end of `fill` matters: first `_last` is set,
then what was read is pushed and cut off there, then what arrived is taken in by the rule above.

`start_over` says that tasks wait of which only the journal knows, wherever they stand: nothing in
memory is first any more until the next `fill`, and one that is under way must not move `_last`.
"""

from collections.abc import Container

from hypershell.core.task import Task
from hypershell.runtime import threads
from hypershell.store.tasks.journal import Journal
from hypershell.store.tasks.queue import Key, TaskQueue, key_of

MAX_TASKS = 40_000
MAX_BYTES = 32 * 2**20
"""Most bytes of lines in memory, where a journal has the rest."""


class QueueWindow:
    """Called with `lock` held, but for `fill`, which takes it, and which one thread calls."""

    def __init__(
        self, journal: Journal, lock: threads.Lock, complete: bool, most_tasks: int
    ) -> None:
        self._journal = journal
        self._lock = lock
        self._most_tasks = most_tasks
        self._waiting = TaskQueue()
        self._complete = complete
        self._last: Key | None = None
        self._filling = False
        self._restarted = False
        self._arrived: list[Task] = []
        self._struck: set[int] = set()
        self.pop = self._waiting.pop
        self.get = self._waiting.get
        self.first = self._waiting.first
        self.numbers = self._waiting.numbers

    @property
    def size(self) -> int:
        """Bytes of the lines that are here."""
        return self._waiting.size

    def take_in(self, task: Task) -> None:
        """A task waits: here, if its place is here. The journal has it already."""
        if self._filling:
            self._arrived.append(task)
        elif self._complete or (self._last is not None and key_of(task) <= self._last):
            self._waiting.push(task)
            too_many = len(self._waiting) > self._most_tasks
            if self._journal.keeps and (too_many or self._waiting.size > MAX_BYTES):
                self._last = self._waiting.cut(max(len(self._waiting) // 2, 1))
                self._complete = False

    def remove(self, task_id: int) -> Task | None:
        """A task waits no longer. What is being read from the journal may still say so."""
        if self._filling:
            self._struck.add(task_id)
        return self._waiting.remove(task_id)

    def start_over(self) -> None:
        """Tasks wait of which only the journal knows, wherever they stand.

        A journal that keeps nothing knows of none: all that waits is here, and stays.
        """
        if self._journal.keeps:
            self._complete, self._last, self._restarted = False, None, True

    def fill(self, sent: Container[int]) -> None:
        """Bring in tasks that wait in the journal alone, if few are left here; waits for it."""
        with self._lock:
            is_low = len(self._waiting) <= self._most_tasks // 4
            if self._complete or not (is_low or self._last is None):
                return
            self._filling, self._restarted = True, False
            after = self._last
        room = max(self._most_tasks // 2, 1)
        tasks, more = self._journal.first_waiting(after, room, MAX_BYTES // 2)
        with self._lock:
            self._filling = False
            if not self._restarted:
                self._complete, self._last = not more, key_of(tasks[-1]) if more else None
            arrived, self._arrived = self._arrived, []
            newer = {task.id for task in arrived} | self._struck
            for task in tasks:
                if task.id not in newer and task.id not in sent and not self._waiting.get(task.id):
                    self._waiting.push(task)
            if more and self._last is not None:
                self._waiting.cut_after(self._last)
            for task in arrived:
                if task.id not in self._struck:
                    self.take_in(task)
            self._struck.clear()
