"""What a store has in memory: for the store itself, and for what people change in it."""

from typing import NamedTuple

from hypershell.core.outcome import Outcome
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.runtime import threads
from hypershell.store.tasks.handed_out import HandedOut
from hypershell.store.tasks.journal import Journal
from hypershell.store.tasks.tally import Tally
from hypershell.store.tasks.window import QueueWindow


class Unconfirmed(NamedTuple):
    """A task as it was before an attempt that failed on a client which is on trial."""

    task: Task
    outcome: Outcome
    client: str


class StoreMemory:
    """The tasks of a run, as far as memory goes. All of it belongs to who holds `lock`.

    A task that is not final is in exactly one of `handed_out`, `waiting`, `interrupted` and
    `unconfirmed`, or it waits and the journal alone has it. `revisions` counts the changes that may
    give an idle run something to do; once `closed`, there are none.
    """

    def __init__(
        self,
        lock: threads.Lock,
        journal: Journal,
        tally: Tally,
        handed_out: HandedOut,
        waiting: QueueWindow,
    ) -> None:
        self.lock = lock
        self.journal = journal
        self.tally = tally
        self.handed_out = handed_out
        self.waiting = waiting
        self.interrupted: dict[int, Task] = {}
        self.unconfirmed: dict[int, Unconfirmed] = {}
        self.closed = False
        self.revisions = 0

    def unconfirmed_task(self, task_id: int) -> Task | None:
        """A task whose failure is not confirmed."""
        found = self.unconfirmed.get(task_id)
        return None if found is None else found.task

    def __contains__(self, task_id: object) -> bool:
        """Whether a task is known not to wait for a client, whatever the journal says."""
        return task_id in self.handed_out.tasks or task_id in self.unconfirmed

    def known(self, task_id: int) -> tuple[TaskState, int, bool]:
        """The state, group and whether it is ours of a task; one that is nowhere has SUCCEEDED."""
        for state, task in (
            (self.handed_out.state_of(task_id), self.handed_out.tasks.get(task_id)),
            (TaskState.WAITING, self.waiting.get(task_id)),
            (TaskState.WAITING, self.unconfirmed_task(task_id)),
            (TaskState.INTERRUPTED, self.interrupted.get(task_id)),
        ):
            if task is not None:
                return state, task.group, True
        return TaskState.SUCCEEDED, 0, False

    def unfinished_numbers(self) -> list[int]:
        """The line numbers of all tasks that are here, in no order."""
        held = [*self.handed_out.tasks.values(), *self.interrupted.values()]
        held += [each.task for each in self.unconfirmed.values()]
        return [*self.waiting.numbers(), *(task.number for task in held)]
