"""What a run finds in its journal: tasks that clients of a server that died may still hold, and
which of those clients are back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.runtime import threads
from hypershell.store.tasks.handed_out import HandedOut, Pair
from hypershell.store.tasks.tally import Tally


@dataclass(slots=True)
class RecoveredState:
    """What a run finds in its journal. `clients` of a dead server may hold what is `handed_out`.

    Of that, `running` are the ids of what is known to have begun. `given_up` are tasks that wait,
    each with its last lease and how that ended: nobody knows.
    """

    last_id: int = 0
    tally: Tally = field(default_factory=Tally)
    handed_out: list[Task] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    cancelling: set[int] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    waiting: bool = False
    given_up: dict[int, tuple[int, Ending]] = field(default_factory=dict)


class Recovery:
    """Safe to use from several threads. The lock is that of the store, which discards under it."""

    def __init__(self, lock: threads.Lock, handed_out: HandedOut, clients: set[str]) -> None:
        self._lock = lock
        self._handed_out = handed_out
        self._orphans = set(handed_out.tasks)
        self._absent = clients
        self._adopted: dict[str, set[Pair]] = {}

    def adopt(self, client: str, pairs: Sequence[Pair]) -> list[Task] | None:
        """Those of the tasks (id and lease) that a client holds that are its own from now on.

        A client that did not hear the answer asks again. None if there are none: it is a stranger.
        """
        with self._lock:
            self._absent.discard(client)
            is_out = self._handed_out.is_out
            known = self._adopted.setdefault(client, set())
            for pair in pairs:
                if pair[0] in self._orphans and is_out(pair):
                    self._orphans.discard(pair[0])
                    known.add(pair)
            # A task that was handed out again meanwhile is no longer the client's.
            tasks = self._handed_out.tasks
            return [tasks[pair[0]] for pair in pairs if pair in known and is_out(pair)] or None

    def seen(self, client: str) -> None:
        """A client is gone: it holds nothing that is not known."""
        with self._lock:
            self._absent.discard(client)

    def absent(self) -> list[str]:
        """The clients that are neither back nor gone."""
        with self._lock:
            return sorted(self._absent)

    def all_seen(self) -> bool:
        """Whether no client that may hold a task is still to come back. Takes no lock."""
        return not self._absent

    def discard(self, task_id: int) -> None:
        """What became of this task is known. The store calls it with its lock held."""
        self._orphans.discard(task_id)

    def orphans(self) -> list[Outcome]:
        """An outcome for each task that no client came back with.

        What had begun runs again, and that is no loss: it did not end its server. Where all clients
        are back or gone, nothing else had begun: what none of them holds never reached one.
        Otherwise nobody knows.
        """
        with self._lock:
            return self._outcomes()

    def give_up(self) -> list[Outcome]:
        """The same, to be recorded: no client is given these tasks, should one still come back."""
        with self._lock:
            outcomes = self._outcomes()
            self._orphans.clear()
            return outcomes

    def give_up_begun(self, client: str, begun: Sequence[Pair]) -> list[Outcome]:
        """The same of what a client had begun, which is gone for good and holds nothing more."""
        with self._lock:
            self._absent.discard(client)
            is_out = self._handed_out.is_out
            given_up = [pair for pair in begun if pair[0] in self._orphans and is_out(pair)]
            self._orphans.difference_update(task_id for task_id, _ in given_up)
            return [Outcome(*pair, Ending.ORPHANED) for pair in given_up]

    def _outcomes(self) -> list[Outcome]:
        unknown = Ending.UNREPORTED if self._absent else Ending.GIVEN_BACK
        tasks, state_of = self._handed_out.tasks, self._handed_out.state_of
        begun = Ending.ORPHANED
        return [
            Outcome(i, tasks[i].lease, begun if state_of(i) is TaskState.RUNNING else unknown)
            for i in sorted(self._orphans)
            if i in tasks
        ]
