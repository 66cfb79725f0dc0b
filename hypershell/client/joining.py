"""Joining a server for the first time, which may not be there yet.

The user's `--wait` alone says how long: nothing here ends the wait earlier but what waiting cannot
mend, such as another key. An attempt may take long, say at a server that is stopped, so it is made
in a thread of its own, and the main thread stays open for signals.
"""

import logging
import math
from collections.abc import Callable
from contextlib import closing

from hypershell.client.call_errors import BROKEN, may_wait
from hypershell.client.events import ClientEvent, JoinEnded, PauseAsked, PauseOver, SignalCame
from hypershell.client.server_link import ServerLink
from hypershell.core.errors import NoServer, RequestRefused, ServerUnable, ServerUnreachable
from hypershell.runtime import chance, clock, threads
from hypershell.runtime.backoff import Backoff
from hypershell.runtime.signals import stop_this_process
from hypershell.runtime.threads import Inbox
from hypershell.wire.address import reason_of
from hypershell.wire.refusal import CallRefused, ErrorKind
from hypershell.wire.worker_messages import Hello, Welcome

log = logging.getLogger(__name__)

_LEAST_SECONDS = 5.0
"""What one attempt has at least, however little is left of the wait."""


WasThere = Callable[[bool], bool]
"""Tells, while no server is found, whether there was one that has ended since: the argument says
whether this is the last look.
"""


def never_there(is_last: bool) -> bool:
    """Where nobody can tell."""
    return False


class SignalledEarly(Exception):
    """A signal with this number came before the client had joined."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class RunOver(Exception):
    """A server that might have been joined was there, and has ended."""


def join(
    link: ServerLink,
    hello: Hello,
    inbox: Inbox[ClientEvent],
    wait_seconds: float,
    delay_seconds: float,
    was_there: WasThere = never_there,
) -> Welcome:
    """Join the server, waiting for it up to `wait_seconds`.

    A negative delay is a random one up to that. Raises SignalledEarly, RunOver, and what
    `ServerLink.join` raises when waiting is over or does not mend it.
    """
    delay = delay_seconds if delay_seconds >= 0 else chance.uniform(0, -delay_seconds)
    with closing(_Events(inbox)) as events:
        events.wait(delay)
        deadline = clock.monotonic() + wait_seconds
        # A server that is started at the same moment is there soon, one of tomorrow is not.
        backoff = Backoff(0.02, 1.0, factor=1.05)
        said = False
        while True:
            try:
                remaining = deadline - clock.monotonic()
                welcome = _attempt(link, hello, events, max(_LEAST_SECONDS, remaining))
                log.info("joined the server as client %s", welcome.client_id)
                return welcome
            except (*BROKEN, CallRefused) as error:
                pause = backoff.pause()
                is_last = clock.monotonic() + pause > deadline
                if isinstance(error, NoServer) and was_there(is_last):
                    raise RunOver from error
                if not may_wait(error) or is_last:
                    raise _explained(error, link) from error
                if not said:
                    log.info("waiting for the server: %s", error)
                    said = True
            events.wait(pause)


def _attempt(link: ServerLink, hello: Hello, events: "_Events", seconds: float) -> Welcome:
    """Join, once; SignalledEarly, and what `ServerLink.join` raises."""

    def run() -> None:
        result: Welcome | Exception
        try:
            result = link.join(hello, seconds)
        except Exception as error:  # noqa: BLE001 - raised again in the main thread
            result = error
        events.inbox.put(JoinEnded(result))

    threads.start_thread("join", run)
    match events.wait(None):
        case Welcome() as welcome:
            return welcome
        case Exception() as error:
            raise error
        case None:
            raise AssertionError("a wait without an end ended")


def _explained(error: Exception, link: ServerLink) -> Exception:
    """The error of the last attempt, as a user can act on it."""
    if isinstance(error, NoServer):
        error.note(patience="; --wait SEC waits longer")
        return error
    if isinstance(error, CallRefused):
        if error.kind is ErrorKind.BAD_REQUEST:
            return RequestRefused(reason=str(error), verb="client")
        return ServerUnable(reason=str(error))
    return ServerUnreachable(
        host=link.host,
        port=link.port,
        reason=reason_of(error),
        patience="; --wait SEC waits longer",
    )


class _Events:
    """What comes before the client has joined. What can wait until then is put back by `close`."""

    def __init__(self, inbox: Inbox[ClientEvent]) -> None:
        self.inbox = inbox
        self._put_off: list[ClientEvent] = []

    def wait(self, seconds: float | None) -> Welcome | Exception | None:
        """How an attempt ended, or None after `seconds`; SignalledEarly."""
        deadline = math.inf if seconds is None else clock.monotonic() + seconds
        while (event := self.inbox.get(timeout=seconds)) is not None:
            if seconds is not None:
                seconds = max(0.0, deadline - clock.monotonic())
            match event:
                case SignalCame(number):
                    raise SignalledEarly(number)
                case JoinEnded(result):
                    return result
                case PauseAsked(by_launcher=False):
                    stop_this_process()  # nothing runs here
                case PauseAsked() | PauseOver():
                    self._put_off.append(event)  # the launcher waits until this client has joined
        return None

    def close(self) -> None:
        """Nothing more is taken here."""
        for event in self._put_off:
            self.inbox.put(event)
