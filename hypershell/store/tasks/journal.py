"""What a store tells its journal, which makes it durable; and the journal that keeps nothing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from hypershell.core.begun import Begun
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.store.tasks.errors import NoDatabase
from hypershell.store.tasks.queue import Key


class Recorded(NamedTuple):
    """An outcome that was new, its task and the state that it is in now, and whose outcome it is.

    `task` is as it will be tried next; `attempt` is the number of the attempt that ended.
    """

    task: Task
    state: TaskState
    outcome: Outcome
    client: str = ""
    attempt: int = 1


class Added(NamedTuple):
    """New tasks, all with these `tags` beside their own. `made_in` is the directory in which they
    were submitted, b"" for lines of the run's own input.
    """

    tasks: Sequence[Task]
    tags: Mapping[str, str] = {}
    made_in: bytes = b""


class Progress(NamedTuple):
    """How far the input was read: lines, the SHA-256 of them, and whether that was all."""

    lines: int
    digest: bytes
    ended: bool


class Found(NamedTuple):
    """A task as it is in the journal, for changes of many tasks at once."""

    id: int
    state: TaskState
    group: int
    is_ours: bool  # it is in the scope of this run


class Commit(Protocol):
    """A write that was handed in."""

    def wait(self) -> None:
        """Return when it is durable; StartError if it never will be."""


class Journal(Protocol):
    """Each call hands in one change, in the order of calls, and returns at once.

    `keeps` says whether it can be asked for tasks that the store has let go.
    """

    keeps: bool

    def added(self, added: Added, progress: Progress | None) -> Commit:
        """Tasks were added, and the input was read this far."""

    def leased(self, tasks: Sequence[Task]) -> Commit:
        """Tasks were handed out."""

    def begun(self, client: str, begun: Sequence[Begun]) -> Commit:
        """These began on a client: they are RUNNING."""

    def recorded(self, recorded: Sequence[Recorded], owes: bool, ran: Sequence[int]) -> Commit:
        """Record outcomes; `owes`: the lines of those that FAILED are to be printed.

        `ran` are the ids of those tasks that were RUNNING.
        """

    def took_back(self, tasks: Sequence[Task]) -> Commit:
        """Record that no client took these tasks after all."""

    def printed(self, task_ids: Sequence[int], path: bytes, length: int) -> Commit:
        """Record that the lines of these tasks are printed, and the bytes of the file `path`."""

    def cancelling(self, task_ids: Sequence[int]) -> Commit:
        """Record that the clients which hold these are to cancel them."""

    def cancelled(self, task_ids: Sequence[int]) -> Commit:
        """Record that these were cancelled before any client held them."""

    def revived(self, task_ids: Sequence[int]) -> Commit:
        """Record that these wait again, in this run, as though they had never been tried."""

    def deleted(self, task_ids: Sequence[int]) -> Commit:
        """Record that these were deleted."""

    def flush(self) -> Commit:
        """Nothing; it is durable once all that was handed in before it is."""

    def find(self, selection: Selection) -> list[Found]:
        """All tasks of a selection, as they are after all that was handed in; waits for it."""

    def first_waiting(
        self, after: Key | None, limit: int, most_bytes: int
    ) -> tuple[list[Task], bool]:
        """The first waiting tasks after a place, and whether there may be more. Blocks."""

    def unfinished_numbers(self, limit: int) -> list[int]:
        """The first line numbers of tasks of this run that are not final; waits for it."""


class _Done:
    """A commit that is already done."""

    def wait(self) -> None:
        """Return at once."""


_DONE = _Done()


class NoJournal:
    """Keeps nothing."""

    keeps = False

    def added(self, added: Added, progress: Progress | None) -> Commit:
        """Do nothing; so do the methods below."""
        return _DONE

    def leased(self, tasks: Sequence[Task]) -> Commit:
        """Nothing."""
        return _DONE

    def begun(self, client: str, begun: Sequence[Begun]) -> Commit:
        """Nothing."""
        return _DONE

    def recorded(self, recorded: Sequence[Recorded], owes: bool, ran: Sequence[int]) -> Commit:
        """Nothing."""
        return _DONE

    def took_back(self, tasks: Sequence[Task]) -> Commit:
        """Nothing."""
        return _DONE

    def printed(self, task_ids: Sequence[int], path: bytes, length: int) -> Commit:
        """Nothing."""
        return _DONE

    def cancelling(self, task_ids: Sequence[int]) -> Commit:
        """Nothing."""
        return _DONE

    def cancelled(self, task_ids: Sequence[int]) -> Commit:
        """Nothing."""
        return _DONE

    def revived(self, task_ids: Sequence[int]) -> Commit:
        """Nothing."""
        return _DONE

    def deleted(self, task_ids: Sequence[int]) -> Commit:
        """Nothing."""
        return _DONE

    def flush(self) -> Commit:
        """Nothing."""
        return _DONE

    def find(self, selection: Selection) -> list[Found]:
        """NoDatabase."""
        raise NoDatabase

    def first_waiting(
        self, after: Key | None, limit: int, most_bytes: int
    ) -> tuple[list[Task], bool]:
        """None: the store has all of them."""
        return [], False

    def unfinished_numbers(self, limit: int) -> list[int]:
        """None: the store has all of them."""
        return []
