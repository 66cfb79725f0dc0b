"""The plain-text exchange before TLS: the program, the version and the plane.

    client: hyper-shell 3 <plane it wants> <plane its key is for>
    server: hyper-shell ok | hyper-shell version <its version> | hyper-shell plane <its plane>

It exists for the sake of clear messages alone: nothing in it is believed, TLS decides.
"""

from hypershell.access.keys import PLANES
from hypershell.wire.codec import WireError
from hypershell.wire.connection import Connection, DeadlinePassed

PROTOCOL = 3
"""Changes only when two sides that differ could not work together."""

_LONGEST = 64
_OK = b"hyper-shell ok"


class WrongPlane(Exception):
    """That port belongs to the plane named."""


class WrongVersion(Exception):
    """The server speaks the version of the protocol named."""


class NotOurs(Exception):
    """The peer does not speak this protocol."""


class Silent(Exception):
    """The peer says nothing: it is frozen, overloaded, or expects another protocol."""


def announce(connection: Connection, plane: str, key_plane: str) -> None:
    """Say who calls, and raise unless the server says ok."""
    connection.send_raw(f"hyper-shell {PROTOCOL} {plane} {key_plane}\n".encode())
    try:
        answer = connection.recv_line(_LONGEST)
    except DeadlinePassed as error:
        raise Silent from error
    except WireError as error:
        raise NotOurs from error
    if answer == _OK:
        return
    match answer.decode("ascii", "replace").split():
        case ["hyper-shell", "version", version]:
            raise WrongVersion(version)
        case ["hyper-shell", "plane", their_plane] if their_plane in PLANES:
            raise WrongPlane(their_plane)
    raise NotOurs


def receive(connection: Connection, plane: str) -> None:
    """Read the peer's preamble and answer; WireError, after the answer, for a wrong peer."""
    words = connection.recv_line(_LONGEST).decode("ascii", "replace").split()
    match words:
        case ["hyper-shell", version, str(), str()] if version != str(PROTOCOL):
            connection.send_raw(b"hyper-shell version %d\n" % PROTOCOL)
            raise WireError(f"the peer uses protocol version {version!r}")
        case ["hyper-shell", _, wanted, key_plane]:
            if wanted != plane or key_plane != plane:
                connection.send_raw(f"hyper-shell plane {plane}\n".encode())
                raise WireError(f"the peer wants the {wanted!r} plane")
            connection.send_raw(_OK + b"\n")
        case _:
            connection.send_raw(b"hyper-shell: this port is only for hyper-shell\n")
            raise WireError("the peer is not hyper-shell")
