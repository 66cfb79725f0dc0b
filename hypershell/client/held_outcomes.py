"""Endings that a signal to all may have caused, held until it is known whether we are told to end.

A batch system, a terminal that hangs up or a `kill` of a whole tree sends its signal to tasks and
client alike, and the tasks may die of it before the client hears it. They did not fail then: they
were interrupted. It decides, and reads no clock; times are monotonic seconds.
"""

import signal
from collections import deque
from collections.abc import Collection, Iterable, Iterator

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome

HELD_SECONDS = 1.0
"""How far apart the end of a task and the news that its client is to end may be."""

_BY_SIGNAL_TO_ALL = frozenset(
    (ending, base + number)
    for ending, base in ((Ending.SIGNALED, 0), (Ending.EXITED, 128))
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
)


def is_doubtful(outcome: Outcome) -> bool:
    """Whether a signal that was sent to all may have ended this task, which we did not stop."""
    return (outcome.ending, outcome.code) in _BY_SIGNAL_TO_ALL


class HeldOutcomes:
    """The outcomes of the last second that are doubtful, the oldest first. False if it has none."""

    def __init__(self) -> None:
        self._held: deque[tuple[float, Outcome]] = deque()
        self._told_at = float("-inf")

    def __bool__(self) -> bool:
        return bool(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Outcome]:
        return (outcome for _, outcome in self._held)

    def sift(self, outcomes: Iterable[Outcome], now: float) -> tuple[list[Outcome], list[Outcome]]:
        """Those of these that are as they are, and those that are doubtful and held from now on.

        If the client was told to end in the last second, the doubtful ones were interrupted.
        """
        was_told = now - self._told_at < HELD_SECONDS
        given: list[Outcome] = []
        held: list[Outcome] = []
        for outcome in outcomes:
            if not is_doubtful(outcome):
                given.append(outcome)
            elif was_told:
                given.append(_interrupted(outcome))
            else:
                held.append(outcome)
        self._held.extend((now + HELD_SECONDS, outcome) for outcome in held)
        return given, held

    def tell_to_end(self, now: float) -> list[Outcome]:
        """The client is told to end: all that is held, which was interrupted. None is left."""
        self._told_at = now
        interrupted = [_interrupted(outcome) for _, outcome in self._held]
        self._held.clear()
        return interrupted

    def due_at(self) -> float:
        """When the first of them has been held for long enough; there must be one."""
        return self._held[0][0]

    def take_due(self, now: float) -> list[Outcome]:
        """Take out those that were held for long enough: they ended by themselves."""
        due: list[Outcome] = []
        while self._held and self._held[0][0] <= now:
            due.append(self._held.popleft()[1])
        return due

    def drop(self, pairs: Collection[tuple[int, int]]) -> None:
        """Forget those of these tasks."""
        if self._held:
            rest = [each for each in self._held if (each[1].task_id, each[1].lease) not in pairs]
            self._held = deque(rest)

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()


def _interrupted(outcome: Outcome) -> Outcome:
    return outcome._replace(ending=Ending.INTERRUPTED)
