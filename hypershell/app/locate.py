"""How every verb but `server` and `client -k` finds a server: its access file, then its door."""

import getpass
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from hypershell.access.access_file import inspect, read
from hypershell.access.endpoints import Access, Endpoint
from hypershell.access.errors import PassphraseMissing, shown
from hypershell.access.keyring import Keyring, keyring
from hypershell.access.keys import CLIENT, plane_secret
from hypershell.access.seal import PASSPHRASE
from hypershell.cli.options import Parsed
from hypershell.core.errors import NoServer, ServerSilent, ServerUnreachable
from hypershell.serverdir.directory import ServerDirectory, server_directory
from hypershell.wire.client_plane import ControlProxy


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look for a server. The directory is None where an access file was named."""

    directory: ServerDirectory | None
    file: Path | None
    ring: Keyring

    def access_path(self) -> Path:
        """The access file to use; NoServer, in the words that fit, if there is none."""
        if self.file is not None:
            return self.file
        assert self.directory is not None
        return self.directory.find_access()

    def endpoint(self, plane: str, command: str) -> tuple[Endpoint, Path]:
        """The door of a plane; Refused if the file does not open it, NoServer if there is none."""
        path = self.access_path()
        return read_asking(path, self.ring).endpoint(plane, command, path), path

    def is_sealed_by_passphrase(self) -> bool:
        """Whether the access file wants a passphrase."""
        return inspect(self.access_path(), self.ring).recipe.by == PASSPHRASE

    def why(self, error: NoServer) -> NoServer:
        """What to say where an access file leads to no server."""
        if self.directory is None or not isinstance(error, ServerUnreachable | ServerSilent):
            return error
        if self.directory.last_run() is None:
            return error  # a file that was brought here: the directory knows nothing of the server
        return self.directory.why_no_server()


def place_of(server_dir: str | None, access_file: str | None, passphrase_file: str | None) -> Place:
    """Where these options, or the environment, say that the server is."""
    ring = keyring(passphrase_file, os.environ)
    if access_file is not None:
        return Place(None, Path(access_file), ring)
    return Place(server_directory(server_dir, os.environ), None, ring)


def place_from(parsed: Parsed) -> Place:
    """The same for a command line."""
    return place_of(
        parsed.text("--server-dir"), parsed.text("--access-file"), parsed.text("--passphrase-file")
    )


def read_asking(path: Path, ring: Keyring) -> Access:
    """What an access file opens, asking on a terminal, once, for a passphrase that nobody gave."""
    try:
        return read(path, ring)
    except PassphraseMissing:
        if sys.stdin is None or not sys.stdin.isatty():
            raise
    if path not in _asked:
        _asked[path] = os.fsencode(getpass.getpass(f"Passphrase of {shown(path)}: "))
    return read(path, replace(ring, passphrase=_asked[path]))


_asked: dict[Path, bytes] = {}


def connect(place: Place, command: str) -> ControlProxy:
    """The client plane of the server at a place, connected; NoServer or Refused."""
    endpoint, _ = place.endpoint(CLIENT, command)
    proxy = ControlProxy(endpoint.host, endpoint.port, plane_secret(endpoint.key, CLIENT))
    try:
        proxy.connection()
    except NoServer as error:
        raise place.why(error) from error
    return proxy
