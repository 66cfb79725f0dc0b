"""Fetches claims while there is nothing to give; parked at the server, it hears news at once."""

from hypershell.client.server_link import Caller, LinkClosed, ServerLink
from hypershell.runtime import clock, procfs

_FIRST_BEAT_SECONDS = 0.5
_BEAT_SECONDS = 5.0


class Fetcher:
    """Asks the server for what comes, one long call after another."""

    def __init__(self, link: ServerLink, caller: Caller) -> None:
        self._link = link
        self._caller = caller
        self._beat_at = clock.monotonic() + _FIRST_BEAT_SECONDS

    def one_pass(self) -> bool:
        """One call. It tells the server that we live, so it is never parked for long."""
        caller = self._caller
        try:
            if not (
                self._beat() and self._link.exchange([], -1, caller.call_seconds(), caller.handle)
            ):
                self._link.reconnect(caller)
        except LinkClosed:
            return False
        return True

    def _beat(self) -> bool:
        """Now and then, tell how busy this machine is."""
        now = clock.monotonic()
        if now < self._beat_at:
            return True
        self._beat_at = now + _BEAT_SECONDS
        return self._link.beat(procfs.load_average(), procfs.memory_percent())
