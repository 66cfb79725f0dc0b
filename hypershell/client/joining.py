"""Joining a server for the first time, which may not be there yet."""

import logging

from hypershell.client.events import ClientEvent, SignalCame
from hypershell.client.server_link import BROKEN, ServerLink, may_wait
from hypershell.core.errors import ServerSilent
from hypershell.runtime import chance, clock
from hypershell.runtime.backoff import Backoff
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_messages import Hello, Welcome

log = logging.getLogger(__name__)

_SILENCE_SECONDS = 10.0
"""How long a client that has not joined waits for what listens and says nothing."""


class SignalledEarly(Exception):
    """A signal with this number came before the client had joined."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def join(
    link: ServerLink,
    hello: Hello,
    inbox: Inbox[ClientEvent],
    wait_seconds: float,
    delay_seconds: float,
) -> Welcome:
    """Join the server, waiting for it up to `wait_seconds`.

    A negative delay is a random one up to that. Raises SignalledEarly, and what `ServerLink.join`
    raises when waiting is over or does not mend it.
    """
    delay = delay_seconds if delay_seconds >= 0 else chance.uniform(0, -delay_seconds)
    _pause(inbox, delay)
    begin = clock.monotonic()
    deadline = begin + wait_seconds
    # A server that is started at the same moment is there soon, one of tomorrow is not.
    backoff = Backoff(0.02, 1.0, factor=1.05)
    said = False
    while True:
        try:
            welcome = link.join(hello)
            log.info("joined the server as client %s", welcome.client_id)
            return welcome
        except BROKEN as error:
            if isinstance(error, ServerSilent):
                # It may be starting, or be no server of ours: not worth all the patience.
                deadline = min(deadline, begin + _SILENCE_SECONDS)
            pause = backoff.pause()
            if not may_wait(error) or clock.monotonic() + pause > deadline:
                raise
            if not said:
                log.info("waiting for the server: %s", error)
                said = True
        _pause(inbox, pause)


def _pause(inbox: Inbox[ClientEvent], seconds: float) -> None:
    event = inbox.get(timeout=seconds)
    if isinstance(event, SignalCame):
        raise SignalledEarly(event.number)
