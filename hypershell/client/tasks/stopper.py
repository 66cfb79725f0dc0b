"""Tasks that are being ended: TERM to each process group, KILL after a grace, then what left it."""

import math
import signal
import time
from dataclasses import dataclass

from hypershell.client.tasks.spawn import Child, kill_strays, live_groups, signal_group
from hypershell.core.ending import Ending

_LOOK_AGAIN_SECONDS = 0.05
_STRAYS_SECONDS = 0.5


@dataclass(slots=True)
class _Stopping:
    ending: Ending
    kill_at: float
    strays_until: float = math.inf


class TaskStopper:
    """The tasks that are being ended, and whose leaders have ended: these are not reaped yet.

    A leader is not reaped while others of its group live: its number is what the group is
    signaled by.
    """

    def __init__(self) -> None:
        self.ended: dict[Child, None] = {}
        self._stopper: dict[Child, _Stopping] = {}

    def __bool__(self) -> bool:
        return bool(self._stopper)

    def __contains__(self, child: Child) -> bool:
        return child in self._stopper

    def add(self, child: Child, ending: Ending, kill_at: float) -> None:
        """End this task; one that is being ended already has no longer than this for it."""
        if (victim := self._stopper.get(child)) is not None:
            victim.kill_at = min(victim.kill_at, kill_at)
            return
        self._stopper[child] = _Stopping(ending, kill_at)
        signal_group(child, signal.SIGTERM)
        # A task that was stopped by a signal must run to see that it is to end.
        signal_group(child, signal.SIGCONT)

    def patience(self) -> float | None:
        """Seconds until a look is due though nothing happens."""
        if not self._stopper:
            return None
        if self.ended:
            return _LOOK_AGAIN_SECONDS
        soonest = min(victim.kill_at for victim in self._stopper.values())
        return max(_LOOK_AGAIN_SECONDS, soonest - time.monotonic())

    def look(self, client_id: str) -> list[tuple[Child, Ending]]:
        """Kill those whose time is over; take out and return those that are wholly gone."""
        now = time.monotonic()
        late = {child for child, victim in self._stopper.items() if now >= victim.kill_at}
        for child in late:
            signal_group(child, signal.SIGKILL)
        waiting = any(child not in late for child in self.ended)
        alive = live_groups() if waiting else set()
        gone = [child for child in self.ended if child in late or child.pid not in alive]
        gone = self._without_strays(gone, client_id, now)
        for child in gone:
            del self.ended[child]
        return [(child, self._stopper.pop(child).ending) for child in gone]

    def _without_strays(self, gone: list[Child], client_id: str, now: float) -> list[Child]:
        """Those of them that left nothing outside their groups, or nothing that can be ended.

        What a task that is stopped with all others left is looked for once, for all of them.
        """
        alone = {c for c in gone if self._stopper[c].ending is not Ending.INTERRUPTED}
        if not alone or not kill_strays(client_id, {c.claim.task_id for c in alone}):
            return gone
        for child in alone:
            victim = self._stopper[child]
            victim.strays_until = min(victim.strays_until, now + _STRAYS_SECONDS)
        return [c for c in gone if c not in alone or now >= self._stopper[c].strays_until]
