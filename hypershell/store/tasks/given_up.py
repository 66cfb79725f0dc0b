"""The last attempts of tasks that wait again because nobody said how those ended.

The server gave them up: their client was not heard for its lease, or came back to no server. Such a
client stopped its tasks then, and may still have outcomes that it earned before. They count as long
as the task was not handed out again.
"""

from collections.abc import Mapping

from hypershell.core.ending import CountsAs, Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Task, with_counts


class GivenUp:
    """Not thread-safe: its owner locks it. By task: the lease, and as what the attempt counts."""

    def __init__(self, found: Mapping[int, tuple[int, Ending]]) -> None:
        self._found = found
        self._attempts = dict(found)

    def note(self, task: Task, ending: Ending, *, waits: bool) -> None:
        """An attempt at a task ended; `task` is as it was under that lease."""
        if waits and not ending.reported:
            self._attempts[task.id] = task.lease, ending
        elif self._attempts:
            self._attempts.pop(task.id, None)

    def ending_of(self, outcome: Outcome) -> Ending | None:
        """As what this very attempt counts; None if it was not given up, or is not the last."""
        lease, ending = self._attempts.get(outcome.task_id, (0, None))
        return ending if lease == outcome.lease else None

    def by_this_run(self, outcome: Outcome) -> bool:
        """Whether this run gave the attempt up, and not one before it."""
        return self._found.get(outcome.task_id, (0, None))[0] != outcome.lease

    def forget(self, task_id: int) -> None:
        """It is known now how the attempt ended."""
        self._attempts.pop(task_id, None)


def as_before(task: Task, ending: Ending) -> Task:
    """A waiting task as it was before its last attempt was given up with this ending.

    One that somebody cancelled and tried again since then has no losses left.
    """
    losses = max(0, task.losses - (ending.counts_as is CountsAs.LOSS))
    return with_counts(task, task.lease, task.attempt - ending.tried, task.failures, losses)
