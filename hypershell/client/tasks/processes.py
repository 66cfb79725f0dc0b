"""The processes of tasks, as the executor sees them: the only thing by which it touches the system.

A simulation hands the executor another `Processes`; everything else that it does is decisions.
"""

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from typing import Protocol

from hypershell.client.tasks.spawn import Child, Spawner, reap, signal_group
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.runtime.procfs import environments, live_groups


class Processes(Protocol):
    """Starts, signals and reaps the processes of one client's tasks."""

    def spawn(self, claim: Claim, slot: int, out: int, err: int) -> Child:
        """Start a task with these descriptors as its output; OSError if it cannot be."""

    def reap(self, child: Child) -> Outcome:
        """Collect a child that has ended: its outcome, as the shell or the kernel tells it."""

    def terminate(self, child: Child) -> None:
        """Ask all processes of a task that is not reaped yet to end."""

    def kill(self, child: Child) -> None:
        """Kill all processes of a task that is not reaped yet."""

    def live_groups(self) -> set[int]:
        """The process groups in which something is alive, zombies not counted."""

    def kill_strays(self, task_ids: Collection[int] | None = None) -> int:
        """Kill what carries this client's mark in its environment, wherever it went.

        Only what belongs to these tasks, if some are named. Returns how many processes it was.
        """


class SystemProcesses:
    """The real ones."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        # Called for each task: the functions themselves, with no call in between.
        self.spawn = spawner.spawn
        self.reap = reap

    def terminate(self, child: Child) -> None:
        """See Processes."""
        signal_group(child, signal.SIGTERM)
        # A task that was stopped by a signal must run to see that it is to end.
        signal_group(child, signal.SIGCONT)

    def kill(self, child: Child) -> None:
        """See Processes."""
        signal_group(child, signal.SIGKILL)

    def live_groups(self) -> set[int]:
        """See Processes."""
        return live_groups()

    def kill_strays(self, task_ids: Collection[int] | None = None) -> int:
        """See Processes."""
        return kill_strays(self._spawner.client_id, task_ids)


def kill_strays(client_id: str, task_ids: Collection[int] | None = None) -> int:
    """Kill all processes that carry a client's mark in their environment, wherever they went.

    Only those of these tasks, if some are named. Returns how many there were.
    """
    found = 0
    mark = b"TASK_CLIENT_ID=" + client_id.encode()
    marks = None if task_ids is None else {b"TASK_ID=%d" % task_id for task_id in task_ids}
    for pid, variables in environments():
        if mark in variables and (marks is None or not marks.isdisjoint(variables)):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                found += 1
    return found
