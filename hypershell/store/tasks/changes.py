"""What people change: tasks that they cancel, try again, or delete.

Which tasks a request means is asked of the journal, which may take its time and is done without the
lock of the store: meanwhile tasks move on. Where those went is noted (`note_moved`), and what was
found is compared with it once the lock is taken. One change is under way at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hypershell.core.query.selection import Changed, Selection
from hypershell.core.state import CANCEL, DELETE, RETRY, ChangeRule, TaskState
from hypershell.runtime import threads
from hypershell.store.tasks.errors import NoDatabase, StoreClosed
from hypershell.store.tasks.journal import Found
from hypershell.store.tasks.memory import StoreMemory

Final = Callable[[Sequence[tuple[int, TaskState]]], None]
"""Takes the ids and states of tasks that became final, once that is durable."""


class Changes:
    """Safe to use from several threads. Each change is durable when it returns.

    `on_final` is called without the lock.
    """

    def __init__(self, memory: StoreMemory, on_final: Final) -> None:
        self._memory = memory
        self._on_final = on_final
        self._changing = threads.lock("changes")
        self._moved: dict[int, TaskState] | None = None  # while somebody looks for tasks to change

    def cancel(self, selection: Selection) -> Changed:
        """Cancel unfinished tasks: waiting ones now, others when their client says that they ended.

        Those that are handed out are in `to_cancel` from now on. Without a database, a selection
        that is not by id raises NoDatabase.
        """
        with self._found(selection) as found, self._memory.lock:
            tasks, state_of = self._memory.handed_out.tasks, self._memory.handed_out.state_of
            out = [task.id for task in found if task.id in tasks]
            running = sum(state_of(task_id) is TaskState.RUNNING for task_id in out)
            self._memory.handed_out.cancel(out)
            now = [t.id for t in found if t.id not in tasks and self._strike(t)]
            commits = []
            if now:
                commits.append(self._memory.journal.cancelled(now))
            if out:
                commits.append(self._memory.journal.cancelling(out))
        for commit in commits:
            commit.wait()
        self._on_final([(task_id, TaskState.CANCELLED) for task_id in now])
        changed = len(now) + len(out)
        return Changed(changed, running, len(found) - changed)

    def _strike(self, task: Found) -> bool:
        """Take a task that no client holds out of what is to be done; whether it could be."""
        inside = self._memory.waiting.remove(task.id) is not None
        inside = inside or self._memory.unconfirmed.pop(task.id, None) is not None
        before = TaskState.WAITING if inside else (self._moved or {}).get(task.id, task.state)
        if before not in CANCEL.at_once:
            return False
        self._memory.interrupted.pop(task.id, None)
        if task.is_ours:
            self._memory.tally.add(task.group, before, -1)
            self._memory.tally.add(task.group, TaskState.CANCELLED)
        return True

    def retry(self, selection: Selection) -> Changed:
        """Make FAILED, CANCELLED and INTERRUPTED tasks wait again, in this run."""
        with self._found(selection) as found, self._memory.lock:
            if self._memory.closed:
                raise StoreClosed("the run is over")
            chosen = self._unmoved(found, RETRY)
            for task in chosen:
                interrupted = self._memory.interrupted.get(task.id)
                self._forget(task)
                self._memory.tally.add(task.group, TaskState.WAITING)
                if interrupted is not None and not self._memory.journal.keeps:
                    self._memory.waiting.take_in(interrupted)  # there is nowhere to read it from
            self._memory.revisions += 1
            commit = self._memory.journal.revived([task.id for task in chosen])
            self._memory.waiting.start_over()  # they may stand before all that is in it
        commit.wait()
        return Changed(len(chosen), 0, len(found) - len(chosen))

    def delete(self, selection: Selection) -> Changed:
        """Forget tasks that are final, or INTERRUPTED."""
        with self._found(selection) as found, self._memory.lock:
            chosen = self._unmoved(found, DELETE)
            for task in chosen:
                self._forget(task)
            self._memory.revisions += 1
            commit = self._memory.journal.deleted([task.id for task in chosen])
        commit.wait()
        return Changed(len(chosen), 0, len(found) - len(chosen))

    def _forget(self, task: Found) -> None:
        self._memory.interrupted.pop(task.id, None)
        if task.is_ours:
            self._memory.tally.add(task.group, task.state, -1)

    @contextmanager
    def _found(self, selection: Selection) -> Iterator[list[Found]]:
        """The tasks of a selection; where those went that move meanwhile is in `_moved`."""
        with self._changing:
            with self._memory.lock:
                self._moved = {}
            try:
                yield self._find(selection)
            finally:
                self._moved = None

    def note_moved(self, task_id: int, state: TaskState) -> None:
        """A task went to this state. Called with the lock of the store."""
        moved = self._moved  # once: the change ends without the lock
        if moved is not None:
            moved[task_id] = state

    def _unmoved(self, found: list[Found], rule: ChangeRule) -> list[Found]:
        """Those that the rule changes at once, and that are still as they were found."""
        return [t for t in found if t.state in rule.at_once and not self._has_moved(t)]

    def _has_moved(self, task: Found) -> bool:
        handed_out = task.id in self._memory.handed_out.tasks
        return handed_out or (self._moved is not None and task.id in self._moved)

    def _find(self, selection: Selection) -> list[Found]:
        if self._memory.journal.keeps:
            return self._memory.journal.find(selection)
        if not selection.ids or selection != Selection(ids=selection.ids):
            raise NoDatabase
        with self._memory.lock:
            return [Found(i, *self._memory.known(i)) for i in selection.ids]
