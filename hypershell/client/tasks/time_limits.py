"""Running tasks that have a time limit, by when it passes.

It decides and reads no clock; times are monotonic seconds.
"""

import heapq

from hypershell.client.tasks.spawn import Child


class TimeLimits:
    """False while no running task has a limit, which costs the executor next to nothing."""

    def __init__(self) -> None:
        # By pid where two pass at the same time: a Child has no order. One that has ended stays
        # until its limit would have passed.
        self._due: list[tuple[float, int, Child]] = []

    def __bool__(self) -> bool:
        return bool(self._due)

    def add(self, child: Child, seconds: float) -> None:
        """This task has started, and may run this long."""
        heapq.heappush(self._due, (child.started + seconds, child.pid, child))

    def shift(self, seconds: float) -> None:
        """All limits pass that much later."""
        self._due = [(due + seconds, pid, child) for due, pid, child in self._due]

    def patience(self, now: float) -> float:
        """Seconds until the next limit passes, at least 0."""
        return max(0.0, self._due[0][0] - now)

    def passed(self, now: float) -> list[Child]:
        """Take out the tasks whose limit has passed, among them some that have ended."""
        found: list[Child] = []
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[2])
        return found
