"""Fetches claims while there is nothing to give; parked at the server, it hears news at once."""

from collections.abc import Callable

from hypershell.client.desk import Desk
from hypershell.client.link import Link, LinkClosed
from hypershell.wire.messages import Answer


class Fetcher:
    """Asks the server for what comes, one long call after another."""

    def __init__(
        self, link: Link, desk: Desk, handle: Callable[[Answer], None], wait_seconds: float
    ) -> None:
        self._link = link
        self._desk = desk
        self._handle = handle
        self._wait_seconds = wait_seconds

    def one_pass(self) -> bool:
        """One call. It tells the server that we live, so it is never parked for long."""
        try:
            if not self._link.exchange([], -1, self._wait_seconds, self._handle):
                self._link.come_back(self._desk.drop)
        except LinkClosed:
            return False
        return True
