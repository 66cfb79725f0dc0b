"""Fetches claims while there is nothing to give; parked at the server, it hears news at once."""

import os
import time
from collections.abc import Callable

from hypershell.client.server_link import LinkClosed, ServerLink
from hypershell.wire.worker_messages import Answer

_BEAT_SECONDS = 5.0


class Fetcher:
    """Asks the server for what comes, one long call after another."""

    def __init__(
        self, link: ServerLink, handle: Callable[[Answer], None], wait_seconds: Callable[[], float]
    ) -> None:
        self._link = link
        self._handle = handle
        self._wait_seconds = wait_seconds
        self._beat_at = time.monotonic() + 0.5

    def one_pass(self) -> bool:
        """One call. It tells the server that we live, so it is never parked for long."""
        try:
            well = self._beat() and self._link.exchange([], -1, self._wait_seconds(), self._handle)
            if not well:
                self._link.reconnect()
        except LinkClosed:
            return False
        return True

    def _beat(self) -> bool:
        """Now and then, tell how busy this machine is."""
        if time.monotonic() < self._beat_at:
            return True
        import psutil

        self._beat_at = time.monotonic() + _BEAT_SECONDS
        return self._link.beat(os.getloadavg()[0], psutil.virtual_memory().percent)
