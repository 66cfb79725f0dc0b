"""The client's connection to its server, made again when it breaks while the lease lasts.

Two threads call, the fetcher and the returner: one may be parked at the server while the other
gives outcomes. The invariant: all calls under way are of one session, the one in which the client
last joined. When a call breaks, the calls of both threads are aborted, and both come to
`reconnect`; one of them joins again, saying what the client holds, so that nothing is lost or run
twice for an answer that never arrived; the other waits for it. The order that matters there:
no call is under way any more (`_calls` is empty) before the client is asked what it holds, and it
has dealt with the new welcome (`Peer.returned`) before any call uses the new session. An answer is
handled before its call counts as over, so that no claim is between the two.

The main thread asks `heard_at` and `is_up`, and may `leave` and `close` at any time, which ends
every call and every wait here. The lock "server link" guards the state and is never held during a
call, a connection attempt, or while the peer is called: it is taken inside no other lock, and no
other is taken inside it.

Only an error of the connection breaks it. What the peer raises while it handles an answer is the
peer's own, and a machine that has no descriptor left for a connection has lost none.
"""

import errno
import logging
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from hypershell.core.begun import Begun
from hypershell.core.errors import (
    HostUnknown,
    HostUnsupported,
    HyperShellError,
    NoServer,
    NotOurServer,
    VersionMismatch,
)
from hypershell.core.lease import call_seconds
from hypershell.core.outcome import Outcome
from hypershell.core.unwritten import Unwritten
from hypershell.runtime import clock, threads
from hypershell.runtime.backoff import Backoff
from hypershell.wire.codec import WireError
from hypershell.wire.connection import Connection
from hypershell.wire.proxy import CALL_SECONDS
from hypershell.wire.refusal import CallRefused, ErrorKind
from hypershell.wire.worker_messages import Answer, Hello, Phase, Welcome
from hypershell.wire.worker_plane import Earned, WorkerProxy

log = logging.getLogger(__name__)

Find = Callable[[], tuple[str, int, bytes]]
"""Tells host, port and secret of the server's worker plane; NoServer while that is not known."""

WasThere = Callable[[bool], bool]
"""Tells, while no server is found, whether there was one that has ended since: the argument says
whether this is the last look.
"""


def never_there(is_last: bool) -> bool:
    """Where nobody can tell."""
    return False


BROKEN = (OSError, EOFError, WireError, NoServer)
"""What a call raises when the connection is at fault, and not the call."""

_ELSEWHERE = (*BROKEN, HyperShellError, CallRefused, ValueError)
"""What a client that had joined may meet while it looks for its server: none of it is its end."""

_LEAST_SECONDS = 2.0

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of this machine: they pass when tasks end, and say nothing about a connection."""

_LASTING = (HostUnknown, HostUnsupported, NotOurServer, VersionMismatch)
"""What waiting for a server does not mend, for a client that has not joined one yet."""

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
        """The server took so many of these, and needs to hear no more of the others."""


class Caller(Peer, Protocol):
    """Whom the answers are for."""

    def handle(self, answer: Answer) -> None:
        """What the server said."""

    def call_seconds(self) -> float:
        """How long a call may be parked."""


class ServerLink:
    """Safe to use from several threads; `close` ends all their calls.

    `find` tells where the server is, and `was_there` whether it has come and gone.
    """

    def __init__(self, find: Find, was_there: WasThere = never_there) -> None:
        self._find = find
        self.was_there = was_there
        self._proxy: WorkerProxy
        self.host, self.port = "", 0
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
        """Join for the first time, within so many seconds for each step; raises what `find` and
        `WorkerProxy` raise.
        """
        self._look_up()
        self._proxy.patience = seconds
        welcome, sent = self._greet(hello, seconds)
        self._proxy.patience = None
        self._proxy.hang_up()  # the threads that call have connections of their own
        with self._changed:
            self._welcome, self._heard_at, self._up = welcome, sent, True
        return welcome

    def is_up(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._up

    @property
    def heard_at(self) -> float:
        """The boot time (`clock.boottime`) at which the last call that was answered was sent."""
        return self._heard_at

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
                answer = self._proxy.exchange(
                    welcome.client_id,
                    welcome.session,
                    outcomes,
                    want,
                    wait,
                    call_seconds_of(welcome),
                    begun,
                )
            except BROKEN as error:
                self._break(welcome, str(error), _is_hang_up(error))
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
        try:
            welcome = self._begin()
            if welcome is None:
                return False
            seconds = call_seconds_of(welcome)
            try:
                self._proxy.beat(welcome.client_id, welcome.session, load, memory_percent, seconds)
            except BROKEN as error:
                self._break(welcome, str(error), _is_hang_up(error))
                return False
            return True
        finally:
            self._end()

    def tell_unwritten(self, unwritten: Unwritten) -> bool:
        """Tell what could not be written; False if there was no connection for it."""
        try:
            welcome = self._begin()
            if welcome is None:
                return False
            try:
                self._proxy.unwritten(welcome.client_id, unwritten, call_seconds_of(welcome))
            except BROKEN as error:
                self._break(welcome, str(error))
                return False
            return True
        finally:
            self._end()

    def tell_last(self, unwritten: Unwritten) -> None:
        """Tell what was never written, as the last that this client says, after `close` too.

        Whether the server hears it does not matter here. Blocks for a few seconds at most.
        """
        with self._changed:
            welcome = self._welcome
        if welcome is None:
            return
        try:
            self._proxy.unwritten(welcome.client_id, unwritten, _LAST_SECONDS)
        except (HyperShellError, *BROKEN) as error:
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
    ) -> None:
        """Tell the server that this client goes; whether it hears it does not matter here.

        `dead` says that it may have begun tasks whose outcomes it could not give: `begun` are
        those, and `interrupted` those of which it knows that they were.
        """
        with self._changed:
            welcome, closed = self._welcome, self._closed
            self._closed = welcome is not None  # no call may join again after this
        if closed or welcome is None:
            return
        try:
            self._proxy.leave(welcome.client_id, reason, dead, begun, interrupted)
        except (HyperShellError, *BROKEN) as error:
            log.debug("could not tell the server that this client is leaving: %s", error)

    def close(self) -> None:
        """End all calls under way and make no more."""
        with self._changed:
            self._closed = True
            self._abort_calls()
            self._changed.notify_all()

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
            self._proxy.hang_up()  # this thread's connection is to a server that may be gone
            self._own.session_of = welcome
        try:
            connection = self._proxy.connection()  # may take its time: much may change meanwhile
        except BROKEN as error:
            if _is_shortage(error):
                self._wait_for_descriptors(error)
            else:
                self._break(welcome, str(error), _is_hang_up(error))
            return None
        with self._changed:
            if self._closed:
                raise LinkClosed
            if not self._is_current(welcome):
                self._proxy.hang_up()
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

    def _look_up(self) -> None:
        """Find where the server is now: a restarted one may have moved."""
        self.host, self.port, secret = self._find()
        self._proxy = WorkerProxy(self.host, self.port, secret)

    def _rejoin(self, peer: Peer) -> None:
        backoff = Backoff(_FIRST_PAUSE, _MAX_PAUSE)
        while True:
            with self._changed:
                self._wait_for_end_of_pause()
                if self._closed or self._welcome is None:
                    raise LinkClosed
                before = self._welcome
            try:
                welcome = self._join_again(peer.greet(), before)
            except _ELSEWHERE as error:
                self._pause(error, backoff)
                continue
            peer.returned(welcome, welcome.client_id == before.client_id)
            with self._changed:
                self._welcome = welcome
            try:
                self._hand_in(peer, welcome)
            except _ELSEWHERE as error:
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

    def _join_again(self, hello: Hello, before: Welcome) -> Welcome:
        # While the lease lasts an attempt must leave time for the next one.
        is_late = clock.boottime() > self._heard_at + before.lease_seconds
        seconds = CALL_SECONDS if is_late else max(_LEAST_SECONDS, call_seconds_of(before))
        self._look_up()
        self._proxy.hang_up()
        welcome, self._heard_at = self._greet(hello, seconds)
        return welcome

    def _greet(self, hello: Hello, seconds: float) -> tuple[Welcome, float]:
        """Join; the welcome, and when the call was sent by which the server heard us last.

        A server that stood still may answer when the lease from then on is over already: it is
        asked again whether it knows us.
        """
        sent = clock.boottime()
        welcome = self._proxy.join(hello, seconds)
        nothing = Earned(welcome.client_id, welcome.secret, ())
        while clock.boottime() - sent > call_seconds_of(welcome):
            sent = clock.boottime()
            self._give(welcome, nothing)
        return welcome, sent

    def _give(self, welcome: Welcome, earned: Earned) -> int:
        """Hand this in: how many were taken; EOFError if the server does not know us."""
        taken = self._proxy.hand_in(welcome, earned)
        if taken is None:
            raise EOFError("it no longer knows this client")
        return taken

    def _hand_in(self, peer: Peer, welcome: Welcome) -> None:
        """Give what the client earned under a former id, before it asks for anything."""
        while (earned := peer.earned()) is not None:
            sent = clock.boottime()
            taken = self._give(welcome, earned)
            self._heard_at = sent
            peer.handed_in(earned, taken)


def _is_shortage(error: BaseException) -> bool:
    cause = error.__cause__ or error
    return isinstance(cause, OSError) and cause.errno in _SHORTAGES


def _is_hang_up(error: BaseException) -> bool:
    """Whether the other side closed the connection, as a system does when a process ends."""
    return isinstance(error, EOFError | ConnectionError)


def call_seconds_of(welcome: Welcome) -> float:
    """How long a call under this lease may take, in seconds."""
    return call_seconds(welcome.lease_seconds, welcome.grace_seconds)


def may_wait(error: BaseException) -> bool:
    """Whether a server that could not be joined may be there in a moment."""
    if isinstance(error, CallRefused):
        return error.kind in (ErrorKind.ENDING, ErrorKind.DATABASE_UNUSABLE)
    return not isinstance(error, _LASTING)


def greeting(host: str, slots: int) -> Hello:
    """How this process introduces itself."""
    return Hello(host.encode("ascii", "replace").decode(), os.getpid(), slots)
