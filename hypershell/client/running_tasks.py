"""The tasks that run on this client, for those who want them stopped: all, some, or for good."""

import logging

from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.processes import Processes
from hypershell.core.units import counted
from hypershell.wire.worker_messages import Welcome

log = logging.getLogger(__name__)

_HURRIED_GRACE_SECONDS = 1.0
"""At most, when the supervisor is dead and nothing else would end them."""


class RunningTasks:
    """May be used by any thread but the executor's, which obeys."""

    def __init__(
        self,
        orders: Orders,
        buffer: TaskBuffer,
        processes: Processes,
        supervisor_pipe: SupervisorPipe,
    ) -> None:
        self._orders = orders
        self._buffer = buffer
        self._processes = processes
        self._supervisor_pipe = supervisor_pipe

    def end(self, pairs: list[tuple[int, int]]) -> None:
        """End these, which were cancelled or are not ours any more. Returns at once."""
        if pairs:
            log.info("stopping what is not to go on: %s", counted(len(pairs), "task"))
            self._orders.cancel(pairs)

    def stop(self, grace_seconds: float) -> None:
        """Stop all that runs, and start nothing more until `resume`. Returns at once."""
        self._orders.stop(grace_seconds)

    def resume(self) -> None:
        """Run tasks again. Returns at once."""
        self._orders.resume()

    def stop_and_wait(self, welcome: Welcome) -> None:
        """Stop all that runs, and return when it is gone, or should be."""
        self.stop(self.grace_seconds(welcome))
        self._buffer.wait_until_stopped(welcome.grace_seconds + 1.0)
        self.end_strays()

    def grace_seconds(self, welcome: Welcome) -> float:
        """How long tasks have between TERM and KILL."""
        grace = welcome.grace_seconds
        return min(grace, _HURRIED_GRACE_SECONDS) if self._supervisor_pipe.unheard() else grace

    def end_strays(self) -> None:
        """Without a supervisor, kill what tasks left in the background; it would do that."""
        if self._supervisor_pipe.unheard():
            self._processes.kill_strays()
