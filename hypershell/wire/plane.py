"""The planes as managers: `BaseManager` with our own listener, connection and server.

`Plane` is the server's side; `dial` is the side of its peers. A serializer name
stands for a plane, as `multiprocessing.managers.listener_client` foresees.
"""

import functools
import multiprocessing.managers as managers
import socket
import ssl
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import answer_challenge, deliver_challenge
from typing import Any

from hypershell.access.keys import PLANES, WORKER
from hypershell.core.errors import (
    HostUnsupported,
    KeyRefused,
    NoServer,
    NotOurServer,
    PlaneRefused,
    ServerSilent,
    ServerUnreachable,
    VersionMismatch,
)
from hypershell.runtime import clock
from hypershell.runtime.limits import opening
from hypershell.wire.address import cannot_be_used, look_up, reason_of
from hypershell.wire.codec import WireError
from hypershell.wire.connection import Connection
from hypershell.wire.plane_server import Listener, PlaneServer, set_options
from hypershell.wire.preamble import NotOurs, Silent, WrongPlane, WrongVersion, announce
from hypershell.wire.refusal import ErrorKind, kind_of_argument
from hypershell.wire.tls import challenge_key, client_context

CONNECT_SECONDS = 5.0
"""Seconds for the TCP connection and, again, for the first word of the peer."""

_SILENCE_SECONDS = 20.0
"""Seconds for that first word at most: a connection that is older may be dead, a new one is not."""

ADMISSION_SECONDS = 15.0
"""Seconds for TLS and the challenge: more than the server allows, so that the server decides."""


def serializer_of(plane: str) -> str:
    """The name under which a plane's connections are known to the manager."""
    return f"hyper-shell {plane}"


class Plane(managers.BaseManager):
    """One plane of a server: a manager whose objects and verbs are fixed beforehand."""

    def __init__(
        self,
        sock: socket.socket,
        plane: str,
        secret: bytes,
        objects: dict[str, tuple[object, frozenset[str]]],
        kind_of: Callable[[Exception], ErrorKind] = kind_of_argument,
    ) -> None:
        super().__init__(sock, secret, serializer_of(plane))  # type: ignore[arg-type]
        self._plane = plane
        self._secret = secret
        self._objects = objects
        self._kind_of = kind_of

    def get_server(self) -> PlaneServer:
        """The server of this plane, not started yet."""
        return PlaneServer(  # BaseManager names `Server` literally, hence this override
            self._address,  # type: ignore[attr-defined]
            self._plane,
            self._secret,
            self._objects,
            self._serializer,  # type: ignore[attr-defined]
            self._kind_of,
        )


def dial(
    address: tuple[str, int],
    authkey: bytes,
    plane: str = WORKER,
    patience: float | None = None,
) -> Connection:
    """Connect to a plane and prove the key; `authkey` is the plane's secret.

    The program that listens there has `patience` seconds for its first word, if that is more than
    usual: a server that is stopped or overloaded says it late.

    Raises ServerUnreachable, ServerSilent or HostLookupFailed (worth another try), or another
    NoServer, PlaneRefused, KeyRefused (waiting does not mend them).
    """
    host, port = address
    where = {"host": host, "port": port}
    connection = Connection(_connect(host, port))
    try:
        connection.set_timeout(max(CONNECT_SECONDS, min(patience or 0.0, _SILENCE_SECONDS)))
        announce(connection, plane, plane)
        connection.set_timeout(ADMISSION_SECONDS)
        connection.start_tls(client_context(bytes(authkey)), server_side=False)
        answer_challenge(connection, challenge_key(authkey))  # type: ignore[arg-type]
        deliver_challenge(connection, challenge_key(authkey))  # type: ignore[arg-type]
        connection.trust()
        connection.set_timeout(ADMISSION_SECONDS)
        return connection
    except BaseException as error:
        connection.close()
        raise _explain(error, where, plane) from error


def greets(host: str, port: int, plane: str) -> bool:
    """Whether a hyper-shell server listens there, as far as it can be seen without its key."""
    try:
        connection = Connection(_connect(host, port))
    except NoServer:
        return False
    try:
        connection.set_timeout(CONNECT_SECONDS)
        announce(connection, plane, plane)
    except (WrongPlane, WrongVersion):
        return True
    except (NotOurs, Silent, WireError, EOFError, OSError):
        return False
    finally:
        connection.close()
    return True


def _connect(host: str, port: int) -> socket.socket:
    """A connected socket: by the first address of the host at which somebody listens."""
    where = {"host": host, "port": port}
    deadline = clock.monotonic() + CONNECT_SECONDS
    failure: OSError | None = None
    for family, address in look_up(host, port):
        sock = None
        try:
            with opening:
                sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(max(0.5, deadline - clock.monotonic()))
            sock.connect(address)
            set_options(sock)
            return sock
        except OSError as error:
            if sock is not None:
                sock.close()
            if failure is None or cannot_be_used(failure):
                failure = error  # what an address says that can be used tells more
    assert failure is not None
    error_class = HostUnsupported if cannot_be_used(failure) else ServerUnreachable
    raise error_class(**where, reason=reason_of(failure)) from failure


def _explain(error: BaseException, where: dict[str, Any], plane: str) -> BaseException:
    """The error that a user can act on."""
    match error:
        case WrongPlane():
            return PlaneRefused(**where, plane=error.args[0], wanted=plane)
        case WrongVersion():
            return VersionMismatch(**where, theirs=error.args[0])
        case Silent():
            return ServerSilent(**where)
        case NotOurs():
            return NotOurServer(**where)
        case ssl.SSLCertVerificationError() | AuthenticationError():
            return KeyRefused(**where)
        case ssl.SSLError() if "ALERT" in (error.reason or ""):
            return KeyRefused(**where)
        case WireError():
            return NotOurServer(**where)
        case EOFError() | OSError():
            return ServerUnreachable(**where, reason=reason_of(error))
    return error


for _plane in PLANES:
    managers.listener_client[serializer_of(_plane)] = (  # type: ignore[attr-defined]
        Listener,
        functools.partial(dial, plane=_plane),
    )
