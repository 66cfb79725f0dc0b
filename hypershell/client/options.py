"""The options of a client."""

import math
from typing import NamedTuple

from hypershell.core.resources import NOTHING, Offer
from hypershell.runtime import clock
from hypershell.runtime.machine import Gpus

_LEAVE_BEFORE = 60.0
"""Seconds before its end at which a client leaves, or a tenth of what it had if that is less."""

_LEAVE_SECONDS = 2.0
"""Seconds that it takes to leave, beside the grace time of its tasks."""


class ClientOptions(NamedTuple):
    """What a client is to do. Times are in seconds.

    `wait` is for a server that is not there yet; a negative `delay_start` is a random time up to
    that long. With `max_tasks` it leaves after so many. Without a path, output goes where that of
    the client goes. Tasks find their server in `server_dir`, an absolute path, or else where the
    environment says.

    The `offer` is for tasks with needs, `gpus` are those of it; with `pins` such tasks run on cores
    of their own. The client must be gone at the boot time `ends_at`, and leaves `leave_before`
    seconds earlier.
    """

    slots: int = 1
    wait: float = 60.0
    shell: str = "/bin/sh"
    prologue: str | None = None
    nice: int = 0
    max_tasks: int | None = None
    idle_timeout: float | None = None
    delay_start: float = 0.0
    out_path: str | None = None
    err_path: str | None = None
    server_dir: str | None = None
    offer: Offer = NOTHING
    gpus: Gpus = Gpus()
    pins: bool = False
    ends_at: float = math.inf
    leave_before: float | None = None

    def works_until(self, grace_seconds: float) -> float:
        """Until which boot time tasks may run, if they are to be gone when the client must end."""
        left = self.ends_at - clock.boottime()
        if left == math.inf:
            return left
        if self.leave_before is not None:
            return self.ends_at - self.leave_before
        return self.ends_at - max(min(_LEAVE_BEFORE, left / 10), grace_seconds + _LEAVE_SECONDS)

    @property
    def most_tasks(self) -> int:
        """How many tasks may run at a time."""
        return self.slots if self.offer.limits_places else max(self.slots, self.offer.cores)
