"""The client's connection to its server, made again when it breaks while the lease lasts.

Two threads call, the fetcher and the returner: one may be parked at the server while the other
gives outcomes. The invariant: all calls under way are of one session, the one in which the client
last joined. When a call breaks, the calls of both threads are aborted, and both come to
`reconnect`; one of them joins again, saying what the client holds, so that nothing is lost or run
twice for an answer that never arrived; the other waits for it. The order that matters there:
no call is under way any more (`_calls` is empty) before the client is asked what it holds, and it
has dealt with the new welcome (`Peer.returned`) before any call uses the new session. An answer is
handled before its call counts as over, so that no claim is between the two.

The main thread asks `heard_at`, and may `leave` and `close` at any time, which ends every call and
every wait here. The lock "server link" guards the state and is never held during a
call, a connection attempt, or while the peer is called: it is taken inside no other lock, and no
other is taken inside it.

Only an error of the connection breaks it. What the peer raises while it handles an answer is the
peer's own, and a machine that has no descriptor left for a connection has lost none.
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Protocol

from hypershell.client.call_errors import BROKEN, UNHEARD, is_hang_up, is_shortage
from hypershell.client.found_server import Find, FoundServer
from hypershell.core.begun import Begun
from hypershell.core.outcome import Outcome
from hypershell.core.unwritten import Unwritten
from hypershell.runtime import clock, threads
from hypershell.runtime.backoff import Backoff
from hypershell.wire.connection import Connection
from hypershell.wire.proxy import CALL_SECONDS
from hypershell.wire.worker_messages import Answer, Hello, Phase, Welcome
from hypershell.wire.worker_plane import Earned

log = logging.getLogger(__name__)

_LEAST_SECONDS = 2.0
"""For an attempt to join, however short the lease is."""

_FIRST_PAUSE, _MAX_PAUSE = 0.05, 1.0
_LAST_SECONDS = 2.0


class LinkClosed(Exception):
    """It was closed on purpose: there is nothing more to call for."""


class Peer(Protocol):
    """The object that the link calls when the connection is made again."""

    def greet(self) -> Hello:
        """How the client introduces itself now: with its identity and what it holds."""

    def server_hung_up(self) -> None:
        """The server's process ended, or closed the connection: a signal may have ended it."""

    def returned(self, welcome: Welcome, still_known: bool) -> None:
        """The connection is there again; whether the server still knows this client."""

    def ready(self) -> None:
        """All was handed in, and calls begin again: the lease counts."""

    def earned(self) -> Earned | None:
        """The next outcomes to be handed in that it earned under a former id, if there are any."""

    def handed_in(self, earned: Earned, taken: int) -> None:
        """The server took `taken` of these, and needs to hear no more of the others."""


class Caller(Peer, Protocol):
    """Whom the answers are for."""

    def handle(self, answer: Answer) -> None:
        """What the server said."""

    def call_seconds(self) -> float:
        """How long a call may be parked."""


class ServerLink:
    """Safe to use from several threads; `close` ends all their calls.

    `find` tells where the server is.
    """

    def __init__(self, find: Find, works_until: float = math.inf) -> None:
        self._server = FoundServer(find, works_until)
        self._changed = threads.condition("server link")
        self._welcome: Welcome | None = None
        self._calls: dict[int, Connection] = {}
        self._own = threads.Local()  # of each thread: the welcome that its connection is under
        self._up = False
        self._hung_up, self._lost_by = False, ""  # when it broke last
        self._rejoining = False
        self._closed = False
        self.trouble = ""
        """Why the server was not found again at the last attempt."""
        self._paused = False
        self._heard_at = clock.boottime()

    def join(self, hello: Hello, seconds: float = CALL_SECONDS) -> Welcome:
        """Join for the first time; raises what `find` and `WorkerProxy` raise.

        Each step may take `seconds`, the first word of the server among them.
        """
        joined = self._server.join(hello, seconds, patience=seconds)
        self._server.proxy.hang_up()  # the threads that call have connections of their own
        with self._changed:
            (self._welcome, self._heard_at), self._up = joined, True
        return joined.welcome

    @property
    def host(self) -> str:
        """Where the server was found last; "" before it was."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port of its worker plane there."""
        return self._server.port

    @property
    def heard_at(self) -> float:
        """The boot time (`clock.boottime`) at which the last call that was answered was sent."""
        return self._heard_at

    @property
    def is_up(self) -> bool:
        """Whether nobody has found that the connection is lost, as far as there ever was one."""
        return self._up

    def pause(self) -> None:
        """The server is about to stand still: begin no call and no connection until `go_on`."""
        with self._changed:
            self._paused = True

    def go_on(self, heard_at: float = 0.0) -> None:
        """The server goes on; it counts the lease from this boot time on, if not from a later."""
        with self._changed:
            self._paused = False
            self._heard_at = max(self._heard_at, heard_at)
            self._changed.notify_all()

    def exchange(
        self,
        outcomes: list[Outcome],
        want: int,
        wait: float,
        handle: Callable[[Answer], None],
        begun: Sequence[Begun] = (),
    ) -> Answer | None:
        """Give and take once, and return the answer; None if there was no connection for it.

        `handle` is called with the answer before any reconnection can ask what the client holds;
        what it raises is raised here. Raises LinkClosed after `close`.
        """
        try:
            welcome = self._begin()
            if welcome is None:
                return None
            sent = clock.boottime()
            try:
                answer = self._server.proxy.exchange(
                    welcome.client_id,
                    welcome.session,
                    outcomes,
                    want,
                    wait,
                    welcome.call_seconds,
                    begun,
                )
            except BROKEN as error:
                self._break(welcome, str(error), is_hang_up(error))
                return None
            if not answer.known:
                self._break(welcome, "it no longer knows this client")
                return None
            # Of two threads one may put back what the other wrote: older, so never too late.
            self._heard_at = max(self._heard_at, sent)
            handle(answer)
            if answer.phase is Phase.OVER:
                self.close()  # nothing more is to be said, and the server hangs up
            return answer
        finally:
            self._end()

    def beat(self, load: float, memory_percent: float) -> bool:
        """Tell how busy this machine is; False if there was no connection for it."""
        return self._tell(
            lambda me: self._server.proxy.beat(
                me.client_id, me.session, load, memory_percent, me.call_seconds
            )
        )

    def tell_unwritten(self, unwritten: Unwritten) -> bool:
        """Tell what could not be written; False if there was no connection for it."""
        return self._tell(
            lambda me: self._server.proxy.unwritten(me.client_id, unwritten, me.call_seconds)
        )

    def tell_last(self, unwritten: Unwritten) -> None:
        """Tell what was never written, as the last that this client says, after `close` too.

        Whether the server hears it does not matter here. Blocks for a few seconds at most.
        """
        with self._changed:
            welcome = self._welcome
        if welcome is None:
            return
        try:
            self._server.proxy.unwritten(welcome.client_id, unwritten, _LAST_SECONDS)
        except UNHEARD as error:
            log.debug("could not tell the server what was not written: %s", error)

    def reconnect(self, peer: Peer) -> None:
        """After a call that failed: wait until there is a connection, making it if need be.

        Goes on until it has one, whatever answers meanwhile; raises LinkClosed.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._rejoining)
            if self._up:
                return
            self._rejoining = True
            self._changed.wait_for(lambda: not self._calls)
            # Not before: the answer to another call may have been that all is over.
            if not self._closed:
                level = logging.DEBUG if self._paused else logging.WARNING
                log.log(level, "lost the connection to the server: %s", self._lost_by)
        try:
            if self._hung_up:
                peer.server_hung_up()
            self._rejoin(peer)
        finally:
            with self._changed:
                self._rejoining = False
                self._changed.notify_all()

    def doubt(self, reason: str) -> None:
        """Nothing was heard for too long: whatever calls are under way, join again."""
        with self._changed:
            welcome = self._welcome
        if welcome is not None:
            self._break(welcome, reason)

    def leave(
        self,
        reason: str,
        dead: bool,
        begun: Sequence[tuple[int, int]] = (),
        interrupted: Sequence[tuple[int, int]] = (),
    ) -> bool:
        """Tell the server that this client goes; whether it has heard it.

        `dead` says that it may have begun tasks whose outcomes it could not give: `begun` are
        those, and `interrupted` those of which it knows that they were.
        """
        with self._changed:
            welcome, closed = self._welcome, self._closed
            self._closed = welcome is not None  # no call may join again after this
        if closed or welcome is None:
            return False
        try:
            self._server.proxy.leave(welcome.client_id, reason, dead, begun, interrupted)
        except UNHEARD as error:
            log.debug("could not tell the server that this client is leaving: %s", error)
            return False
        return True

    def close(self) -> None:
        """End all calls under way and make no more."""
        with self._changed:
            self._closed = True
            self._abort_calls()
            self._changed.notify_all()

    def _tell(self, call: Callable[[Welcome], None]) -> bool:
        """Make a call that is answered by nothing; False if there was no connection for it."""
        try:
            welcome = self._begin()
            if welcome is None:
                return False
            try:
                call(welcome)
            except BROKEN as error:
                self._break(welcome, str(error), is_hang_up(error))
                return False
            return True
        finally:
            self._end()

    def _begin(self) -> Welcome | None:
        """Enter a call of the present session, with a connection that `close` can end.

        None if there is no connection for it: `reconnect` tells when to try again.
        """
        with self._changed:
            self._wait_for_end_of_pause()
            if self._closed or self._welcome is None:
                raise LinkClosed
            if not self._up:
                return None
            welcome = self._welcome
        if getattr(self._own, "session_of", None) is not welcome:
            self._server.proxy.hang_up()  # this thread's connection is to a server that may be gone
            self._own.session_of = welcome
        try:
            connection = (
                self._server.proxy.connection()
            )  # may take its time: much may change meanwhile
        except BROKEN as error:
            if is_shortage(error):
                self._wait_for_descriptors(error)
            else:
                self._break(welcome, str(error), is_hang_up(error))
            return None
        with self._changed:
            if self._closed:
                raise LinkClosed
            if not self._is_current(welcome):
                self._server.proxy.hang_up()
                return None
            self._calls[threads.own_id()] = connection
        return welcome

    def _wait_for_end_of_pause(self) -> None:
        if self._paused:
            self._changed.wait_for(lambda: self._closed or not self._paused)

    def _is_current(self, welcome: Welcome) -> bool:
        return self._up and self._welcome is welcome

    def _end(self) -> None:
        with self._changed:
            self._calls.pop(threads.own_id(), None)
            self._changed.notify_all()

    def _break(self, welcome: Welcome, reason: str, hung_up: bool = False) -> None:
        """A call broke: the other thread's connection is of the same session, and no use."""
        with self._changed:
            if not self._is_current(welcome):
                return  # known already; a session that came after it is not concerned
            self._up, self._hung_up, self._lost_by = False, hung_up, reason
            self._abort_calls()

    def _abort_calls(self) -> None:
        for connection in self._calls.values():
            connection.abort()

    def _wait_for_descriptors(self, error: BaseException) -> None:
        log.debug("cannot connect to the server at the moment: %s", error)
        with self._changed:
            self._changed.wait_for(lambda: self._closed, _MAX_PAUSE)

    def _rejoin(self, peer: Peer) -> None:
        backoff = Backoff(_FIRST_PAUSE, _MAX_PAUSE)
        while True:
            with self._changed:
                self._wait_for_end_of_pause()
                if self._closed or self._welcome is None:
                    raise LinkClosed
                before = self._welcome
            try:
                welcome, self._heard_at = self._server.join(peer.greet(), self._patience(before))
            except UNHEARD as error:
                self._pause(error, backoff)
                continue
            peer.returned(welcome, welcome.client_id == before.client_id)
            with self._changed:
                self._welcome = welcome
            try:
                self._hand_in(peer, welcome)
            except UNHEARD as error:
                self._pause(error, backoff)
                continue
            peer.ready()
            with self._changed:
                self._up = True
            self._own.session_of = welcome
            self.trouble = ""
            return

    def _pause(self, error: Exception, backoff: Backoff) -> None:
        """It may be another server that has the port meanwhile: ours may still come back."""
        if str(error) != self.trouble:
            self.trouble = str(error)
            log.debug("could not reconnect to the server: %s", error)
        with self._changed:
            self._changed.wait_for(lambda: self._closed, backoff.pause())

    def _patience(self, before: Welcome) -> float:
        """Seconds for an attempt to join: while the lease lasts it must leave time for the next."""
        is_late = clock.boottime() > self._heard_at + before.lease_seconds
        return CALL_SECONDS if is_late else max(_LEAST_SECONDS, before.call_seconds)

    def _hand_in(self, peer: Peer, welcome: Welcome) -> None:
        """Give what the client earned under a former id, before it asks for anything."""
        while (earned := peer.earned()) is not None:
            taken, self._heard_at = self._server.hand_in(welcome, earned)
            peer.handed_in(earned, taken)
