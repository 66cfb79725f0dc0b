"""Gives outcomes to the server and takes what comes next with the same call."""

import logging
from collections.abc import Callable

from hypershell.client.server_link import Caller, LinkClosed, ServerLink
from hypershell.client.task_buffer import TaskBuffer
from hypershell.core.units import counted
from hypershell.core.unwritten import Unwritten
from hypershell.runtime import clock

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 60.0
_NEWS_SECONDS = 5.0
_TELL_SECONDS = 1.0


class Returner:
    """Moves outcomes from the buffer to the server; they stay in it until they are accepted.

    The server hears first of output that is `unwritten`: with the outcome of the task that printed
    it, the run may end.
    """

    def __init__(
        self,
        link: ServerLink,
        caller: Caller,
        buffer: TaskBuffer,
        unwritten: Callable[[], Unwritten | None] = lambda: None,
    ) -> None:
        self._link = link
        self._caller = caller
        self._buffer = buffer
        self._unwritten = unwritten
        self._tell_at = 0.0
        self._refused_at: float | None = None
        self._said = False

    def one_pass(self) -> bool:
        """Wait until something is due, and give it."""
        batch = self._buffer.next_batch(_PATIENCE_SECONDS)
        if batch is None:
            return True
        outcomes, want, begun = batch
        begin = clock.monotonic()
        try:
            answer = None
            if self._tell_unwritten():
                answer = self._link.exchange(outcomes, want, 0, self._caller.handle, begun)
            if answer is None:
                self._buffer.not_accepted()
                self._link.reconnect(self._caller)
            elif answer.accepted:
                self._buffer.accepted(clock.monotonic() - begin)
                self._refused_at, self._said = None, False
            else:
                self._buffer.not_accepted()
                self._say(len(outcomes))
        except LinkClosed:
            return False
        return True

    def _tell_unwritten(self) -> bool:
        """Tell what is not written, now and then; False if there was no connection for it."""
        unwritten = self._unwritten()
        if unwritten is None or clock.monotonic() < self._tell_at:
            return True
        if not self._link.tell_unwritten(unwritten):
            return False
        self._tell_at = clock.monotonic() + _TELL_SECONDS
        return True

    def _say(self, number: int) -> None:
        """Warn once, and only if it lasts: a disk may be slow for a moment."""
        now = clock.monotonic()
        self._refused_at = now if self._refused_at is None else self._refused_at
        if not self._said and now - self._refused_at >= _NEWS_SECONDS:
            self._said = True
            log.warning(
                "the server cannot record results at the moment; keeping %s here and retrying",
                counted(number, "result"),
            )
