"""What a run finds in its journal: tasks that clients of a server that died may still hold, and
which of those clients are back.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from hypershell.core.ending import Ending
from hypershell.core.task import Task
from hypershell.store.tasks.tally import Tally

Pair = tuple[int, int]
"""A task's id, and a lease."""


@dataclass(slots=True)
class RecoveredState:
    """What a run finds in its journal. `clients` of a dead server may hold what is `sent`;
    `given_up` are tasks that wait, each with its last lease and how that ended: nobody knows.
    """

    last_id: int = 0
    tally: Tally = field(default_factory=Tally)
    sent: list[Task] = field(default_factory=list)
    cancelling: set[int] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    waiting: bool = False
    given_up: dict[int, tuple[int, Ending]] = field(default_factory=dict)


class Recovery:
    """Not thread-safe: its owner locks it. `is_out` tells whether a lease still holds."""

    def __init__(
        self, task_ids: Collection[int], clients: set[str], is_out: Callable[[Pair], bool]
    ) -> None:
        self._orphans = set(task_ids)
        self._absent = clients
        self._adopted: dict[str, set[Pair]] = {}
        self._is_out = is_out

    def adopt(self, client: str, pairs: Sequence[Pair]) -> list[Pair]:
        """Those of the tasks that a client holds that are its own from now on.

        A client that did not hear the answer asks again.
        """
        self.seen(client)
        known = self._adopted.setdefault(client, set())
        for pair in pairs:
            if pair[0] in self._orphans and self._is_out(pair):
                self._orphans.discard(pair[0])
                known.add(pair)
        # A task that was handed out again meanwhile is no longer the client's.
        return [pair for pair in pairs if pair in known and self._is_out(pair)]

    def seen(self, client: str) -> None:
        """A client is back, or gone: it holds nothing that is not known."""
        self._absent.discard(client)

    def absent(self) -> list[str]:
        """The clients that are neither back nor gone."""
        return sorted(self._absent)

    def all_seen(self) -> bool:
        """Whether no client that may hold a task is still to come back."""
        return not self._absent

    def discard(self, task_id: int) -> None:
        """What became of this task is known."""
        self._orphans.discard(task_id)

    def orphans(self) -> list[int]:
        """Ids of tasks that no client came back with."""
        return sorted(self._orphans)
