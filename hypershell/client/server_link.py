"""The client's connection to its server, made anew when it breaks while the lease lasts.

Two threads call: one may be parked at the server, the other gives outcomes meanwhile. When a call
breaks, both stop; one of them comes back to the server in a new session, saying what the client
holds, so that nothing is lost or run twice for an answer that never arrived.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from hypershell.core.errors import (
    HostUnknown,
    HyperShellError,
    NoServer,
    NotOurServer,
    VersionMismatch,
)
from hypershell.core.lease import call_seconds
from hypershell.core.task import Outcome
from hypershell.wire.codec import WireError
from hypershell.wire.connection import Connection
from hypershell.wire.worker_messages import Answer, Hello, Phase, Welcome
from hypershell.wire.worker_plane import WorkerProxy

log = logging.getLogger(__name__)

Find = Callable[[], tuple[str, int, bytes]]
"""Tells host, port and secret of the server's worker plane; NoServer while that is not known."""

BROKEN = (OSError, EOFError, WireError, NoServer)
"""What a call raises when the connection is at fault, and not the call."""


class LinkClosed(Exception):
    """It was closed on purpose: there is nothing more to call for."""


_FIRST_PAUSE = 0.05
_MAX_PAUSE = 1.0


def boottime() -> float:
    """Seconds that go on while the machine is suspended, as the lease at the server does."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class ServerLink:
    """Safe to use from several threads; `close` ends all their calls.

    `find` tells where the server is. `returned` is called when the connection is there again,
    before any call uses it: with the welcome, and whether the server still knows this client.
    """

    returned: Callable[[Welcome, bool], None]

    def __init__(self, find: Find, hello: Callable[[], Hello]) -> None:
        self._find = find
        self._hello = hello
        self._proxy: WorkerProxy
        self.host, self.port = "", 0
        self._changed = threading.Condition()
        self._welcome: Welcome | None = None
        self._calls: dict[int, Connection] = {}
        self._own = threading.local()  # of each thread: the welcome that its connection is under
        self._up = False
        self._rejoining = False
        self._closed = False
        self._heard_at = boottime()
        self._reason = ""

    def join(self) -> Welcome:
        """Join for the first time; raises what `find` and `WorkerProxy` raise."""
        self._look_up()
        sent = boottime()
        welcome = self._proxy.join(self._hello())
        self._proxy.hang_up()  # the threads that call have connections of their own
        with self._changed:
            self._welcome, self._heard_at, self._up = welcome, sent, True
        return welcome

    def is_up(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._up

    @property
    def heard_at(self) -> float:
        """The `boottime` at which the last call that was answered had been sent."""
        return self._heard_at

    def exchange(
        self,
        outcomes: list[Outcome],
        want: int,
        wait: float,
        handle: Callable[[Answer], None],
    ) -> Answer | None:
        """Give and take once, and return the answer; None if the connection broke.

        `handle` is called with the answer before any reconnection can ask what the client holds.
        Raises LinkClosed after `close`.
        """
        try:
            welcome = self._begin()
            sent = boottime()
            turn = call_seconds_of(welcome)
            answer = self._proxy.exchange(
                welcome.client_id, welcome.session, outcomes, want, wait, turn
            )
            if not answer.known:
                raise EOFError("it no longer knows this client")
            self._heard_at = max(self._heard_at, sent)
            handle(answer)
            if answer.phase is Phase.OVER:
                self.close()  # nothing more is to be said, and the server hangs up
            return answer
        except BROKEN as error:
            self._break(error)
            return None
        finally:
            self._end()

    def reconnect(self) -> None:
        """After a call that broke: wait until the connection is there again, making it if need be.

        Raises LinkClosed, and what ends the hope to come back, such as another key.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._rejoining)
            if self._up:
                return
            self._rejoining = True
            self._changed.wait_for(lambda: not self._calls)
        try:
            self._rejoin()
        finally:
            with self._changed:
                self._rejoining = False
                self._changed.notify_all()

    def beat(self, load: float, memory_percent: float) -> bool:
        """Tell how busy this machine is; False if the connection broke."""
        try:
            welcome = self._begin()
            turn = call_seconds_of(welcome)
            self._proxy.beat(welcome.client_id, welcome.session, load, memory_percent, turn)
            return True
        except BROKEN as error:
            self._break(error)
            return False
        finally:
            self._end()

    def leave(self, reason: str, dead: bool) -> None:
        """Tell the server that this client goes; whether it hears it does not matter here.

        `dead` says that it may have begun tasks whose outcomes it could not give.
        """
        with self._changed:
            welcome, closed = self._welcome, self._closed
            self._closed = welcome is not None  # no call may join anew behind our back
        if closed or welcome is None:
            return
        try:
            self._proxy.leave(welcome.client_id, reason, dead)
        except (HyperShellError, *BROKEN) as error:
            log.debug("could not tell the server that this client leaves: %s", error)

    def close(self) -> None:
        """End all calls under way and make no more."""
        with self._changed:
            self._closed = True
            self._abort_calls()
            self._changed.notify_all()

    def _begin(self) -> Welcome:
        """Enter a call of the present session, with a connection that `close` can end."""
        with self._changed:
            if self._closed or self._welcome is None:
                raise LinkClosed
            if not self._up:
                raise EOFError("the connection is down")
            welcome = self._welcome
        if getattr(self._own, "session_of", None) is not welcome:
            self._proxy.hang_up()  # this thread's connection is to a server that may be gone
            self._own.session_of = welcome
        connection = self._proxy.connection()  # this may take its time: much may change meanwhile
        with self._changed:
            if self._closed:
                raise LinkClosed
            if not self._is_current(welcome):
                self._proxy.hang_up()
                raise EOFError("the connection belongs to an earlier session")
            self._calls[threading.get_ident()] = connection
        return welcome

    def _is_current(self, welcome: Welcome) -> bool:
        return self._up and self._welcome is welcome

    def _end(self) -> None:
        with self._changed:
            self._calls.pop(threading.get_ident(), None)
            self._changed.notify_all()

    def _break(self, error: BaseException) -> None:
        """A call broke: the other thread's connection is of the same session, and no use."""
        with self._changed:
            if self._up and not self._closed:
                log.warning("lost the connection to the server: %s", error)
            self._up = False
            self._reason = str(error)
            self._abort_calls()

    def _abort_calls(self) -> None:
        for connection in self._calls.values():
            connection.abort()

    def _look_up(self) -> None:
        """Where the server is now: one that was started again may have moved."""
        self.host, self.port, secret = self._find()
        self._proxy = WorkerProxy(self.host, self.port, secret)

    def _rejoin(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with self._changed:
                if self._closed or self._welcome is None:
                    raise LinkClosed
                before = self._welcome
            try:
                self._look_up()
                self._proxy.hang_up()
                sent = boottime()
                welcome = self._proxy.join(self._hello())
            except BROKEN as error:
                self._reason = str(error)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, pause)
                pause = min(2 * pause, _MAX_PAUSE)
                continue
            self._heard_at = sent
            self.returned(welcome, welcome.client_id == before.client_id)
            with self._changed:
                self._welcome, self._up = welcome, True
            self._own.session_of = welcome
            return


def call_seconds_of(welcome: Welcome) -> float:
    """The turn of a call under this lease."""
    return call_seconds(welcome.lease_seconds, welcome.grace_seconds)


def may_wait(error: BaseException) -> bool:
    """Whether a server that could not be joined may be there in a moment."""
    if isinstance(error, HostUnknown | NotOurServer | VersionMismatch):
        return False
    return isinstance(error, NoServer | OSError | EOFError)


def greeting(host: str, slots: int) -> Hello:
    """How this process introduces itself."""
    return Hello(host.encode("ascii", "replace").decode(), os.getpid(), slots)
