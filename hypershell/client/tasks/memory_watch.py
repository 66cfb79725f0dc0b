"""Looks once a second how much memory running tasks use: notes their peaks, and finds those that
use more than they asked for.

It reads no clock; times are monotonic seconds. All of it belongs to the executor's thread.
"""

import math
from collections.abc import Collection

from hypershell.client.tasks.processes import Processes
from hypershell.client.tasks.spawn import Child
from hypershell.core.ending import Code
from hypershell.core.outcome import Outcome
from hypershell.core.resources import bytes_text
from hypershell.core.task import Claim

LOOK_SECONDS = 1.0

_MIN_AGE = LOOK_SECONDS / 2
"""Seconds for which a task must have run: when it has just begun, it shows nothing yet."""

_KILL = 9


class MemoryWatch:
    """What is known of the memory of a client's tasks."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.look_at = -math.inf
        """When the next look is due."""
        self._oom_kills = processes.oom_kills()

    def look(self, children: Collection[Child], now: float) -> list[Child]:
        """Note the peaks of these, but for the youngest; those that use too much."""
        self.look_at = now + LOOK_SECONDS
        due = [child for child in children if now - child.started >= _MIN_AGE]
        return [child for child in due if self._uses_too_much(child)]

    def _uses_too_much(self, child: Child) -> bool:
        kib = self._processes.memory_kib(child)
        limit = memory_limit(child.claim)
        if limit is not None and kib * 1024 > limit:
            kib = self._processes.memory_kib(child, exact=True)
        child.peak_kib = max(child.peak_kib, kib)
        return limit is not None and kib * 1024 > limit

    def was_killed_for_memory(self, outcome: Outcome) -> bool:
        """Whether the kernel ended this task for want of memory: it counts what it kills so.

        Where several tasks are killed at once, one too many may be taken for it.
        """
        killed = outcome.code == (_KILL if outcome.ending.code_is is Code.SIGNAL else 128 + _KILL)
        if not killed or self._oom_kills is None:
            return False
        before, self._oom_kills = self._oom_kills, self._processes.oom_kills()
        return self._oom_kills is not None and self._oom_kills > before


def memory_limit(claim: Claim) -> int | None:
    """Bytes that a task may use; None if it did not ask for any."""
    return claim.spec.memory_request if claim.packed_spec else None


def why_ended(child: Child) -> str:
    """What a task used too much of, in words."""
    limit = memory_limit(child.claim)
    used = bytes_text(child.peak_kib * 1024)
    asked = "" if limit is None else f"; it asked for {bytes_text(limit)}"
    return f"it used {used}{asked}"
