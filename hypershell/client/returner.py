"""Gives outcomes to the server and takes what comes next with the same call."""

import time
from collections.abc import Callable

from hypershell.client.desk import Desk
from hypershell.client.link import Link, LinkClosed
from hypershell.wire.messages import Answer

_PATIENCE_SECONDS = 60.0


class Returner:
    """Moves outcomes from the desk to the server. They are kept until the server accepted them."""

    def __init__(self, link: Link, desk: Desk, handle: Callable[[Answer], None]) -> None:
        self._link = link
        self._desk = desk
        self._handle = handle

    def one_pass(self) -> bool:
        """Wait until something is due, and give it."""
        batch = self._desk.next_batch(_PATIENCE_SECONDS)
        if batch is None:
            return True
        outcomes, want = batch
        begin = time.monotonic()
        try:
            if self._link.exchange(outcomes, want, 0, self._handle):
                self._desk.accepted(time.monotonic() - begin)
            else:
                self._desk.not_accepted()
                self._link.come_back()
        except LinkClosed:
            return False
        return True
