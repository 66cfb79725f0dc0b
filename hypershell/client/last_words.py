"""What a supervisor says to the server in the name of a client that has died.

Imported only then: a supervisor is small as long as its client lives.
"""

import logging

from hypershell.client.begun_table import BegunTable
from hypershell.client.call_errors import UNHEARD
from hypershell.client.found_server import Find
from hypershell.runtime import procfs
from hypershell.wire.worker_plane import WorkerProxy

log = logging.getLogger(__name__)


class LastWords:
    """Speaks for one client. What it had not begun is given back when it leaves."""

    def __init__(self, find: Find, begun: BegunTable) -> None:
        self._find = find
        self._begun = begun
        self._proxy: WorkerProxy | None = None

    def still_here(self, client_id: str, session: int, patience_seconds: float) -> None:
        """What the client left behind is still being ended: its lease must not pass meanwhile."""
        try:
            proxy = self._connected()
            proxy.beat(client_id, session, procfs.load_average(), 0.0, patience_seconds)
        except UNHEARD as error:
            log.debug("could not tell the server that tasks are still being killed: %s", error)

    def leave(self, client_id: str, reason: str) -> bool:
        """The client is dead, and nothing of it runs: its tasks need not wait for its lease.

        Returns whether the server has heard it.
        """
        hint = "; memory may have run out" if reason == "KILL" else ""
        log.warning("the client died (%s); its tasks were killed%s", reason, hint)
        try:
            proxy = self._connected()
            proxy.leave(client_id, f"it died ({reason})", True, *self._begun.read())
        except UNHEARD as error:
            log.debug("could not tell the server that the client died: %s", error)
            return False
        return True

    def _connected(self) -> WorkerProxy:
        if self._proxy is None:
            self._proxy = WorkerProxy(*self._find())
        return self._proxy
