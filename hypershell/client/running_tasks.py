"""The tasks that run on this client, for those who want them stopped: all, some, or for good."""

import logging

from hypershell.client.descriptors import most_slots
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.processes import Processes
from hypershell.core.units import counted

log = logging.getLogger(__name__)

_KILL_SECONDS = 2.0
"""How long it may take at most until tasks that are sent SIGKILL are gone."""

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
            was = "was" if len(pairs) == 1 else "were"
            log.info(
                "stopping %s that %s cancelled or reassigned", counted(len(pairs), "task"), was
            )
            self._orders.cancel(pairs)

    def stop(self, grace_seconds: float) -> None:
        """Stop all that runs, and start nothing more until `resume`. Returns at once."""
        self._orders.stop(grace_seconds)

    def resume(self) -> None:
        """Run tasks again. Returns at once."""
        self._orders.resume()

    def set_slots(self, slots: int) -> None:
        """Have so many run at a time from now on, as far as descriptors allow."""
        self._orders.set_slots(min(slots, most_slots()))

    def pause(self, seconds: float) -> bool:
        """Stop the processes of all tasks by SIGSTOP, and start none; whether it was done in time.

        Where it was not it is done later, unless `go_on` is called before.
        """
        return self._orders.pause().wait(seconds)

    def go_on(self) -> None:
        """Let them run on, as if no time had passed. Returns at once."""
        self._orders.go_on()

    def stop_and_wait(self, grace_seconds: float) -> None:
        """Stop all that runs, and return when it is gone, or should be."""
        self.stop(self.allowed_grace(grace_seconds))
        self._buffer.wait_until_stopped(grace_seconds + 1.0)
        self.end_strays()

    def kill_and_wait(self) -> None:
        """End all that runs at once: others may run these tasks by now."""
        self.stop(0.0)
        self._buffer.wait_until_stopped(_KILL_SECONDS)
        self.end_strays()

    def allowed_grace(self, grace_seconds: float) -> float:
        """How much of this grace tasks can be given: less when the supervisor is dead."""
        if self._supervisor_pipe.unheard():
            return min(grace_seconds, _HURRIED_GRACE_SECONDS)
        return grace_seconds

    def end_strays(self) -> None:
        """Without a supervisor, kill what tasks left in the background; it would do that."""
        if self._supervisor_pipe.unheard():
            self._processes.kill_strays()
