"""Fixtures for the tests of the wire: a door on this machine, and peers of all kinds."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from hypershell.access.keys import WORKER
from hypershell.wire.connection import Connection
from hypershell.wire.plane import Plane, dial
from hypershell.wire.plane_server import PlaneServer

SECRET = b"s" * 32
OTHER_SECRET = b"t" * 32

VERBS = frozenset({"say", "park", "refuse", "fail"})


class Thing:
    """What the door serves. `secret` is not among its verbs."""

    def __init__(self) -> None:
        self.called: list[object] = []
        self.parked = threading.Event()
        self.go_on = threading.Event()

    def say(self, value: object = None) -> object:
        """The same again."""
        self.called.append(value)
        return value

    def park(self, seconds: float) -> bool:
        """Wait, as a client does for work."""
        self.parked.set()
        return self.go_on.wait(seconds)

    def refuse(self, text: str) -> None:
        """What a verb does with arguments that are wrong."""
        raise ValueError(text)

    def fail(self) -> None:
        """What should not happen."""
        raise RuntimeError("/home/alice/.hyper-shell/secret is broken")

    def secret(self) -> str:
        """Not for peers."""
        self.called.append("secret")
        return "secret"


@pytest.fixture
def thing() -> Iterator[Thing]:
    """What the door serves."""
    thing = Thing()
    yield thing
    thing.go_on.set()


@pytest.fixture
def plane_server(thing: Thing) -> Iterator[PlaneServer]:
    """A door of the worker plane, on any port."""
    sock = socket.create_server(("127.0.0.1", 0))
    plane_server = Plane(sock, WORKER, SECRET, {"thing": (thing, VERBS)}).get_server()
    plane_server.start()
    yield plane_server
    thing.go_on.set()
    plane_server.stop(patience_seconds=1.0)


@pytest.fixture
def address(plane_server: PlaneServer) -> tuple[str, int]:
    """Where the door is."""
    host, port = plane_server.address
    return host, port


@pytest.fixture
def stranger(address) -> Iterator[Callable[[], socket.socket]]:
    """Connect to the door and say nothing."""
    with contextlib.ExitStack() as sockets:

        def connect() -> socket.socket:
            return sockets.enter_context(socket.create_connection(address, 5.0))

        yield connect


@pytest.fixture
def peer(address) -> Iterator[Connection]:
    """One who holds the key and was let in."""
    connection = dial(address, SECRET)
    connection.send((None, "accept_connection", ("peer",), {}))
    assert ["#RETURN", None] == connection.recv()
    yield connection
    connection.close()


def read_to_end(sock: socket.socket, seconds: float = 5.0) -> bytes:
    """All that comes until the other side hangs up, which it must do in time."""
    sock.settimeout(seconds)
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            data += piece
    return data
