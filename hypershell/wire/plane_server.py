"""The server's end of a plane: accepts, admits those who hold the key, serves their calls.

It is the `Server` of `multiprocessing.managers` with its dangers taken out: the accept loop only
accepts, strangers are few and have little time (`strangers` says which go), no frame names code to
run or takes more than its share of memory and time (`frames`), and a peer can call the listed verbs
of the objects that exist and nothing else.
"""

import contextlib
import errno
import functools
import logging
import socket
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import answer_challenge, deliver_challenge
from multiprocessing.managers import Server
from typing import Any

from hypershell.access.keys import WORKER
from hypershell.core.errors import system_reason
from hypershell.runtime import threads
from hypershell.runtime.seldom import Seldom
from hypershell.wire.codec import WireError
from hypershell.wire.connection import (
    LARGE_FRAME,
    WORKER_FRAME,
    Connection,
)
from hypershell.wire.frames import FrameBudget
from hypershell.wire.preamble import receive
from hypershell.wire.refusal import CallRefused, ErrorKind, kind_of_argument
from hypershell.wire.strangers import Strangers
from hypershell.wire.tls import challenge_key, server_context

log = logging.getLogger(__name__)

ADMISSION_SECONDS = 10.0
"""Seconds from accept to an authenticated first request, in total."""

REPLY_SECONDS = 60.0
"""A peer that does not take its answer for this long is cut off."""

_STACK_BYTES = 512 * 1024


class Listener:
    """The listening end that `Server` is given; its address is a socket already bound."""

    def __init__(self, address: socket.socket, backlog: int = 512) -> None:
        self._sock = address
        self._sock.listen(max(backlog, 512))
        self.address = self._sock.getsockname()[:2]

    def accept(self) -> Connection:
        """Wait for the next peer; nothing is read from it here."""
        sock, address = self._sock.accept()
        try:
            set_options(sock)
        except OSError:
            pass  # gone already: admission will see it
        return Connection(sock, str(address[0]) if address else "")

    def close(self) -> None:
        """Stop listening; a blocked accept returns with an error."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def set_options(sock: socket.socket) -> None:
    """No delay for small messages, and a dead host is noticed in about a minute."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class PlaneServer(Server):
    """Serves one plane on one socket, a thread a connection.

    `objects` maps an identity to an object and the names of the verbs that peers may call;
    `kind_of` says as what an error of a verb travels.
    """

    def __init__(
        self,
        sock: socket.socket,
        plane: str,
        secret: bytes,
        objects: dict[str, tuple[object, frozenset[str]]],
        serializer: str,
        kind_of: Callable[[Exception], ErrorKind] = kind_of_argument,
    ) -> None:
        key = challenge_key(secret)
        super().__init__({}, sock, key, serializer)  # type: ignore[arg-type]
        self.listener: Listener  # what the serializer stands for, made by `Server`
        self._challenge_key = key
        self._objects = objects
        self._kind_of = kind_of
        self.stop_event = threads.event()
        self._plane = plane
        self._context = server_context(secret)
        self._lock = threads.lock("plane server")
        self._strangers = Strangers()
        # A peer with the key of the worker plane may use some of our memory, and no more.
        self._budget = FrameBudget() if plane == WORKER else None
        self._peers: set[Connection] = set()
        self._no_room, self._no_thread = Seldom(), Seldom()
        self._calls = 0
        self._quiet = threads.condition_on(self._lock)

    def start(self) -> None:
        """Accept peers from now on, in a thread."""
        threads.start_thread(f"{self._plane} plane", self.accepter)

    def stop(self, patience_seconds: float) -> None:
        """Accept no more, wait up to `patience_seconds` for calls under way, then hang up."""
        self.stop_event.set()
        self.listener.close()
        with self._quiet:
            self._quiet.wait_for(lambda: self._calls == 0, patience_seconds)
            leaving = [*self._strangers, *self._peers]
        for connection in leaving:
            connection.abort()

    def accepter(self) -> None:
        """Accept until stopped, whatever happens to one connection."""
        while not self.stop_event.is_set():
            try:
                connection = self.listener.accept()
            except OSError as error:
                if not self.stop_event.is_set():
                    self._accept_failed(error)
                continue
            self._let_in(connection)

    def _accept_failed(self, error: OSError) -> None:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            if self._no_room.due():
                reason = system_reason(error)
                others = self._no_room.others()
                log.warning("cannot accept connections at the moment: %s%s", reason, others)
            self._drop_stranger()
            self.stop_event.wait(0.1)  # nothing tells when descriptors are free again

    def _let_in(self, connection: Connection) -> None:
        with self._lock:
            going = self._strangers.add(connection)
        if going is not None:
            going.abort()
        try:
            # Connections are many and their stacks shallow.
            serve = functools.partial(self.handle_request, connection)
            threads.start_thread("peer", serve, stack_bytes=_STACK_BYTES)
        except RuntimeError as error:
            if self._no_thread.due():
                log.warning("cannot serve a connection: %s%s", error, self._no_thread.others())
            self._forget(connection)
            connection.close()

    def _drop_stranger(self) -> None:
        with self._lock:
            going = self._strangers.give_way()
        if going is not None:
            going.abort()

    def handle_request(self, conn: Connection) -> None:  # type: ignore[override]
        """Admit one peer and serve it until it hangs up."""
        try:
            try:
                self._admit(conn)
            except (AuthenticationError, WireError, EOFError, OSError) as error:
                log.debug("rejected a connection: %s", error)
                return
            self.serve_client(conn)
        finally:
            self._forget(conn)
            conn.close()

    def _admit(self, connection: Connection) -> None:
        connection.set_timeout(ADMISSION_SECONDS)
        receive(connection, self._plane)
        with self._lock:
            self._strangers.greeted(connection)
        connection.start_tls(self._context, server_side=True)
        with self._lock:  # its certificate comes from the key: it has its place from now on
            if not self._strangers.proved(connection):
                raise WireError("the handshake finished too late")
            self._peers.add(connection)
        deliver_challenge(connection, self._challenge_key)  # type: ignore[arg-type]
        answer_challenge(connection, self._challenge_key)  # type: ignore[arg-type]
        match connection.recv():
            case [None, "accept_connection", [str()], dict()]:
                pass
            case _:
                raise WireError("the peer did not complete the handshake")
        connection.send(("#RETURN", None))
        connection.trust(LARGE_FRAME if self._budget is None else WORKER_FRAME, self._budget)
        if self.stop_event.is_set():
            raise WireError("the server is ending")

    def serve_client(self, conn: Connection) -> None:  # type: ignore[override]
        """Answer the calls of one admitted peer."""
        try:
            while not self.stop_event.is_set():
                conn.set_timeout(None)
                request = conn.recv()
                with self._lock:
                    self._calls += 1
                try:
                    reply = self._answer(request)
                    conn.set_timeout(REPLY_SECONDS)
                    _send(conn, reply)
                finally:
                    with self._quiet:
                        self._calls -= 1
                        self._quiet.notify_all()
        except (WireError, EOFError, OSError) as error:
            if not self.stop_event.is_set():
                log.debug("lost a connection: %s", error)

    def _answer(self, request: Any) -> tuple[str, Any]:
        match request:
            case [str(ident), str(verb), list(args), dict(kwds)]:
                thing, verbs = self._objects.get(ident, (None, frozenset()))
            case _:
                return "#ERROR", CallRefused(ErrorKind.BAD_REQUEST, "not a request")
        if thing is None or verb not in verbs:
            text = f"unknown request: {verb[:80]}"
            return "#ERROR", CallRefused(ErrorKind.NO_SUCH_VERB, text)
        try:
            return "#RETURN", getattr(thing, verb)(*args, **kwds)
        except Exception as error:
            kind = self._kind_of(error)
            if kind is ErrorKind.FAILED:
                log.exception("the request %s failed", verb)
                text = "the server could not handle this request; see its log"
            else:
                log.debug("refused the request %s: %s", verb, error)
                text = str(error)
            return "#ERROR", CallRefused(kind, text)

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._strangers.discard(connection)
            self._peers.discard(connection)


def _send(conn: Connection, reply: tuple[str, Any]) -> None:
    """Send a reply, or an error if it is too large or has a value that cannot be sent."""
    try:
        conn.send(reply)
    except WireError as error:  # nothing of it has left
        text = f"the answer cannot be sent: {error}"
        conn.send(("#ERROR", CallRefused(ErrorKind.FAILED, text)))
