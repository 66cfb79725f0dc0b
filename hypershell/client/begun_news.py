"""Which of the tasks that run here the server is to be told of: those that have run for a while.

Short tasks, which are most, end before anybody is told of them and so cost nothing.
"""

from collections import deque
from collections.abc import Collection, Container, Iterable
from typing import Protocol

from hypershell.core.begun import Begun
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim

TELL_AFTER_SECONDS = 0.1
"""How long a task runs untold: `list --running` misses it for as long."""

_LOOK_SECONDS = 0.1
_NO_LOOK_SECONDS = 3600.0


class Started(Protocol):
    """A task that was started; `started` is monotonic time, `started_at` wall time."""

    claim: Claim
    pid: int
    slot: int
    started: float
    started_at: float


class BegunNews:
    """What was started and is not told yet, what is being told, and what was told.

    The executor calls `note_started`, without a lock; all else happens under the buffer's.
    """

    def __init__(self) -> None:
        self._untold: deque[Started] = deque()
        self._telling: list[Started] = []
        self._told: dict[tuple[int, int], Started] = {}
        self.note_started = self._untold.append
        """A task was started. The function of the deque itself: it is called for every task."""

    def is_due(self, now: float, running: Container[tuple[int, int]]) -> bool:
        """Whether there is something to tell."""
        first = self._first(running)
        return first is not None and first.started + TELL_AFTER_SECONDS <= now

    def take(self, now: float, running: Container[tuple[int, int]]) -> list[Begun]:
        """What is to be told now."""
        while self.is_due(now, running):
            self._telling.append(self._untold.popleft())
        return [
            Begun(c.claim.task_id, c.claim.lease, c.started_at, c.slot, c.pid)
            for c in self._telling
        ]

    def arrived(self) -> None:
        """What was being told has arrived."""
        if self._telling:
            self._told.update((_pair(each), each) for each in self._telling)
            self._telling = []

    def did_not_arrive(self) -> None:
        """It may not have: it is told again."""
        self._untold.extendleft(reversed(self._telling))
        self._telling = []

    def ended(self, outcomes: Iterable[Outcome]) -> None:
        """These tasks do not run any more."""
        if self._told:
            for outcome in outcomes:
                self._told.pop((outcome.task_id, outcome.lease), None)

    def start_over(self) -> None:
        """The server is another: it is told again of all that runs."""
        self.did_not_arrive()
        self._untold.extendleft(reversed(self._told.values()))
        self._told.clear()

    def clear(self) -> None:
        """Nothing that was started is ours any more."""
        self._untold.clear()
        self._telling = []
        self._told.clear()

    def patience(self, now: float, running: Collection[tuple[int, int]]) -> float:
        """Seconds until a look is due."""
        if len(running) <= len(self._told):
            return _NO_LOOK_SECONDS
        first = self._first(running)
        if first is None:
            return _LOOK_SECONDS  # the executor is about to note it
        return max(_LOOK_SECONDS / 10, first.started + TELL_AFTER_SECONDS - now)

    def _first(self, running: Container[tuple[int, int]]) -> Started | None:
        """The first that is untold and still runs; those before it are forgotten."""
        untold = self._untold
        while untold:
            if _pair(untold[0]) in running:
                return untold[0]
            untold.popleft()
        return None


def _pair(started: Started) -> tuple[int, int]:
    return started.claim.task_id, started.claim.lease
