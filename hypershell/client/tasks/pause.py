"""Tasks that stand still for a while: stopped by SIGSTOP, and continued as if no time had passed.

Neither their time limits nor the grace of those that are being stopped pass meanwhile. A task that
must end during a pause is killed: it must not run again, as another client may have it by then.
"""

from collections.abc import Collection

from hypershell.client.tasks.processes import Processes
from hypershell.client.tasks.spawn import Child
from hypershell.client.tasks.stopper import TaskStopper
from hypershell.client.tasks.time_limits import TimeLimits
from hypershell.runtime import clock


class TaskPause:
    """The pause of all tasks of one client; of the executor's thread."""

    def __init__(self, processes: Processes, stopper: TaskStopper, limits: TimeLimits) -> None:
        self._processes = processes
        self._stopper = stopper
        self._limits = limits
        self._since = 0.0
        self.begun = False
        """Whether tasks stand still. Only this class sets it."""

    def begin(self, children: Collection[Child]) -> None:
        """Stop these, and all that earlier tasks left running."""
        if not self.begun:
            self._since = clock.monotonic()
        self.begun = True
        self._processes.pause(children)

    def end(self, children: Collection[Child]) -> None:
        """Let them run on; nothing if they do."""
        if not self.begun:
            return
        seconds = clock.monotonic() - self._since
        for child in children:
            child.started += seconds
        self._limits.shift(seconds)
        self._stopper.shift(seconds)
        self.begun = False
        self._processes.go_on(children)

    def end_dead(self, children: Collection[Child]) -> None:
        """Kill these, and let what earlier tasks left run on; nothing if nothing stands still."""
        if self.begun:
            self.kill(children)
            self.begun = False
            self._processes.go_on(children)

    def kill(self, children: Collection[Child]) -> None:
        """Kill these, and what left their sessions, before any of it can run again."""
        self._processes.kill(children)
        self._processes.kill_strays({child.claim.task_id for child in children})
