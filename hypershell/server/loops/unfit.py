"""Tasks that no connected client can run: said once for each kind, and failed where that was asked.

A client that has what they ask for may still come. So they wait, unless the run was told to fail
them: then they fail when none has come for UNFIT_SECONDS while others were connected.
"""

import logging

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.resources import Needs
from hypershell.core.units import counted
from hypershell.runtime import clock
from hypershell.server.state.client import GONE, Client
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.wire.worker_messages import Phase

log = logging.getLogger(__name__)

UNFIT_SECONDS = 10.0
"""For how long such tasks wait for a client before they fail."""


class UnfitTasks:
    """To be asked now and then, by one thread, whether there is something to say or to do."""

    def __init__(self, scheduled: ScheduledQueue, finished: FinishedQueue, *, fails: bool) -> None:
        self._scheduled = scheduled
        self._finished = finished
        self._fails = fails
        self._since: dict[Needs, float] = {}
        self._said: set[Needs] = set()

    def look(self) -> None:
        """Say what is new, and fail what has waited for long enough."""
        if self._scheduled.phase is not Phase.RUNNING:
            return
        now = clock.monotonic()
        unfit = self._scheduled.unfit()
        self._since = {needs: self._since.get(needs, now) for needs in unfit}
        then = f"they fail in {UNFIT_SECONDS:g} s" if self._fails else "they wait for one that has"
        for needs in sorted(unfit - self._said):
            self._said.add(needs)
            log.warning(
                "tasks ask for %s, and no connected client has that; %s (`hyper-shell list "
                "--waiting --explain` shows them)",
                needs,
                then,
            )
        if self._fails:
            for needs, since in list(self._since.items()):
                if now - since >= UNFIT_SECONDS:
                    self._fail(needs)

    def _fail(self, needs: Needs) -> None:
        tasks = self._scheduled.withdraw_with(needs)
        if tasks:
            log.warning("%s failed: no connected client has %s", counted(len(tasks), "task"), needs)
            reason = f"it asks for {needs}"
            outcomes = [Outcome(t.id, t.lease, Ending.UNFIT, reason=reason) for t in tasks]
            self._finished.put(Client("", "", 0, 1, 0.0, GONE), outcomes)
