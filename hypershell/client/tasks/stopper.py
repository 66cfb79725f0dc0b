"""Tasks that are being ended: TERM to each session, KILL after a grace, then what left it.

It decides, and neither signals nor looks: the executor does what it says, and tells it what it saw.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from hypershell.client.tasks.spawn import Child
from hypershell.core.ending import Ending

_LOOK_AGAIN_SECONDS = 0.05
_STRAYS_SECONDS = 0.5
_KILLED_SECONDS = 0.5
"""How long processes that were killed are waited for: one that the kernel holds may take hours."""


@dataclass(slots=True)
class _Stopping:
    ending: Ending
    kill_at: float
    strays_until: float = math.inf


class TaskStopper:
    """The tasks that are being ended; of some the leader has ended, and is not reaped yet.

    A leader is not reaped while others of its session live: its number is what the session is
    known by. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._stopping: dict[Child, _Stopping] = {}
        self._ended: dict[Child, None] = {}

    def __bool__(self) -> bool:
        return bool(self._stopping)

    def __contains__(self, child: Child) -> bool:
        return child in self._stopping

    def add(self, child: Child, ending: Ending, kill_at: float) -> bool:
        """End this task; one that is being ended already has no longer than this for it.

        Whether it is new here, and must be terminated. One whose leader was killed by somebody else
        (SIGNALED, EXITED) counts as INTERRUPTED if all are stopped before it is gone.
        """
        if (stopping := self._stopping.get(child)) is not None:
            stopping.kill_at = min(stopping.kill_at, kill_at)
            if ending is Ending.INTERRUPTED and stopping.ending in (Ending.SIGNALED, Ending.EXITED):
                stopping.ending = ending
            return False
        self._stopping[child] = _Stopping(ending, kill_at)
        return True

    def shift(self, seconds: float) -> None:
        """All of them have that much more time."""
        for stopping in self._stopping.values():
            stopping.kill_at += seconds

    def leader_ended(self, child: Child) -> None:
        """The leader of a task that is being ended has ended; if not before, it is not reaped."""
        self._ended[child] = None

    def patience(self, now: float) -> float | None:
        """Seconds until a look is due though nothing happens."""
        if not self._stopping:
            return None
        if self._ended:
            return _LOOK_AGAIN_SECONDS
        soonest = min(stopping.kill_at for stopping in self._stopping.values())
        return max(_LOOK_AGAIN_SECONDS, soonest - now)

    def late(self, now: float) -> set[Child]:
        """The tasks whose grace time is over and that must be killed."""
        return {child for child, stopping in self._stopping.items() if now >= stopping.kill_at}

    def waits_for_sessions(self) -> bool:
        """Whether it has to be known which sessions are alive."""
        return bool(self._ended)

    def gone(self, now: float, alive: Collection[int]) -> list[Child]:
        """The tasks with no process left in their sessions, or none that can be killed."""
        return [
            child
            for child in self._ended
            if child.pid not in alive or now >= self._stopping[child].kill_at + _KILLED_SECONDS
        ]

    def stopped_alone(self, gone: Collection[Child]) -> list[Child]:
        """Those of them that may have left something outside their sessions, to be looked for.

        What a task that is stopped with all others left is looked for once, for all of them.
        """
        return [c for c in gone if self._stopping[c].ending is not Ending.INTERRUPTED]

    def wait_for_strays(self, alone: Collection[Child], now: float) -> list[Child]:
        """Something was left, and killed. Those of them for which it is looked for once more."""
        for child in alone:
            stopping = self._stopping[child]
            stopping.strays_until = min(stopping.strays_until, now + _STRAYS_SECONDS)
        return [child for child in alone if now < self._stopping[child].strays_until]

    def take(self, gone: Collection[Child]) -> list[tuple[Child, Ending]]:
        """Take these out, which are wholly gone: how each of them ended."""
        for child in gone:
            del self._ended[child]
        return [(child, self._stopping.pop(child).ending) for child in gone]
