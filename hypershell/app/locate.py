"""Finds a server: by its key and address, or by the access file that has them.

The supervisor of a client holds a location and must stay small, so what is heavy is imported where
it is used.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hypershell.core.errors import (
    HostLookupFailed,
    HyperShellError,
    NoServer,
    ServerSilent,
    ServerUnreachable,
)

if TYPE_CHECKING:
    from pathlib import Path

    from hypershell.access.endpoints import Access, Endpoint
    from hypershell.access.keyring import Keyring
    from hypershell.serverdir.directory import ServerDirectory
    from hypershell.wire.client_plane import ClientPlaneProxy

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""How long a command waits for a server that is there and does not answer, or hardly: it may be
stopped, overloaded, or cut off for a moment.
"""

_HANG_UP_SECONDS = 5.0
"""How long for one that hangs up on us each time."""


@dataclass(frozen=True, slots=True)
class Passphrases:
    """Where the passphrase of an access file comes from: a file, the environment, or a person.

    `ask` is called with the path of an access file and returns what the person typed; if it is
    None, nobody is asked. The passphrase file is read, and a person asked about a path, at most
    once.
    """

    file: str | None = None
    ask: Callable[["Path"], bytes] | None = field(default=None, compare=False)
    _rings: list["Keyring"] = field(default_factory=list, compare=False, repr=False)
    _typed: dict["Path", bytes] = field(default_factory=dict, compare=False, repr=False)

    def ring(self) -> "Keyring":
        """The keys of this user, with the passphrase of the file or environment, if any.

        Raises PassphraseUnusable if the file cannot be read.
        """
        if not self._rings:
            from hypershell.access.keyring import keyring

            self._rings.append(keyring(self.file, os.environ))
        return self._rings[0]

    def open(self, path: "Path", text: bytes | None = None) -> "Access":
        """What an access file opens, after asking for its passphrase if need be.

        Its bytes are read, unless they are given. Raises AccessFileMissing, or Refused for
        everything else that is wrong with the file.
        """
        from hypershell.access.access_file import open_text, read_text
        from hypershell.access.errors import PassphraseMissing

        text = read_text(path) if text is None else text
        try:
            return open_text(text, path, self.ring())
        except PassphraseMissing:
            if self.ask is None:
                raise
        if path not in self._typed:
            self._typed[path] = self.ask(path)
        return open_text(text, path, replace(self.ring(), passphrase=self._typed[path]))


@dataclass(frozen=True, slots=True)
class ServerLocation:
    """Where a server is.

    With a `key`, the server is at `host` and `port`, or at their defaults. Without one, an access
    file says where it is: `access_file`, or the file in the server directory `server_dir`, which
    may be None for that of the environment or the default one. `host` and `port` then replace
    what the file says of the worker plane. Of several servers in a directory it is the one with the
    database of the `run` of this uid; "" is the current one, or else the only one. With a `home`
    it is the last one there.
    `key_is_set` says that the key is from the environment.
    """

    server_dir: str | None = None
    access_file: str | None = None
    run: str = ""
    home: str | None = None
    passphrases: Passphrases = field(default_factory=Passphrases)
    host: str | None = None
    port: int | None = None
    key: str | None = field(default=None, repr=False)
    key_is_set: bool = False

    def directory(self) -> "ServerDirectory | None":
        """The server directory; None if an access file was named instead."""
        if self.access_file is not None:
            return None
        from hypershell.serverdir.directory import server_directory

        return server_directory(self.server_dir, os.environ)

    def access_path(self) -> "Path":
        """The access file to use; NoServer says why if there is none."""
        from pathlib import Path

        directory = self.directory()
        if directory is None:
            return Path(self.access_file or "")
        return directory.find_access(self.run, self.home)

    def of_server(self, uid: str) -> "ServerLocation":
        """This location of the server with this uid and of no other, if its directory knows it."""
        from hypershell.access.errors import RunMissing

        directory = self.directory()
        if directory is None:
            return self
        try:
            directory.run_named(uid)
        except RunMissing:
            return self  # a file that was brought here: there is but one server
        return replace(self, run=uid)

    def chosen(self) -> "ServerLocation":
        """This location for a command that has to name one server; RunsAmbiguous."""
        directory = None if self.run else self.directory()
        only = "" if directory is None else directory.only_run()
        return replace(self, run=only) if only else self

    def endpoint(self, plane: str, command: str) -> "Endpoint":
        """Where a plane is and its key; NoServer without a file, Refused if it cannot be opened.

        `command` is what the error says if the file is a part that lacks this plane.
        """
        path = self.access_path()
        return self.passphrases.open(path).endpoint(plane, command, path)

    def worker_address(self) -> tuple[str, int, bytes]:
        """Host, port and secret of the worker plane; NoServer if the file is not there (yet)."""
        from hypershell.access.keys import DEFAULT_WORKER_PORT, WORKER, plane_secret

        if self.key is not None:
            secret = plane_secret(self.key, WORKER)
            return self.host or "localhost", self.port or DEFAULT_WORKER_PORT, secret
        endpoint = self.endpoint(WORKER, "hyper-shell client")
        secret = plane_secret(endpoint.key, WORKER)
        return self.host or endpoint.host, self.port or endpoint.port, secret

    def place(self) -> str:
        """Where the host and port come from, for a message: who is to check them looks there."""
        if self.host is not None or self.port is not None:
            return "-H and -p"
        if self.key is not None:
            return "where it listens (-H and -p; the default is localhost and 50001)"
        if self.access_file is not None:
            from hypershell.access.errors import shown

            return f"the host and port in {shown(self.access_file)}"
        return "the host and port in the access file of the server directory"

    def remark(self) -> str:
        """The end of a hint: that the server directory was not looked at, and why."""
        if self.key_is_set:
            return "; as HYPERSHELL_AUTH is set, the server directory was not looked at"
        return ""

    def explain(self, error: NoServer) -> NoServer:
        """A better error for an access file that leads to no server, if the directory knows one."""
        error.note(place=self.place())
        directory = self.directory()
        if directory is None or not isinstance(error, ServerUnreachable | ServerSilent):
            return error
        if directory.last_run() is None:
            return error  # a file that was brought here: the directory knows nothing of the server
        return directory.why_no_server(self.run)

    def rooted(self) -> "ServerLocation":
        """This location for a process that changes directory: no path in it is relative.

        NoHome, DirectoryUnusable, and PassphraseUnusable, as what uses it raises them.
        """
        if self.key is not None:
            return self
        self.passphrases.ring()  # what it reads is read now
        if self.access_file is not None:
            return replace(self, access_file=os.path.abspath(self.access_file))
        directory = self.directory()
        return self if directory is None else replace(self, server_dir=str(directory.path))

    def with_passphrase(self) -> "ServerLocation":
        """This location for a process that cannot ask: a person is asked now, or never.

        Nobody is asked if the access file is not there yet, or cannot be read: opening it tells.
        """
        silent = replace(self, passphrases=replace(self.passphrases, ask=None))
        ask = self.passphrases.ask
        if ask is None or self.key is not None or self.passphrases.file is not None:
            return silent
        from hypershell.access.access_file import inspect
        from hypershell.access.seal import PASSPHRASE

        try:
            ring, path = self.passphrases.ring(), self.access_path()
            if ring.passphrase is not None or inspect(path, ring).recipe.by != PASSPHRASE:
                return silent
        except HyperShellError:
            return silent
        return replace(self, passphrases=Passphrases(_rings=[replace(ring, passphrase=ask(path))]))


class Finder:
    """Finds the server of a client again: the one that it found first, or a successor of that.

    It is made before a client and its supervisor part, and what one of them finds binds both.
    """

    def __init__(self, location: ServerLocation) -> None:
        import mmap

        self._location = location
        self._found = mmap.mmap(-1, _HOME_BYTES)  # shared with the processes that are forked

    def root(self) -> ServerLocation:
        """Look at the location that is `rooted` from here on; a process that changes directory."""
        self._location = self._location.rooted()
        return self._location

    @property
    def home(self) -> str | None:
        """In which home of the server directory the server is that was found; None if none was."""
        number = int.from_bytes(self._found[:], "big")
        return _home_name(number) if number else None

    def __call__(self) -> tuple[str, int, bytes]:
        """Host, port and secret of the worker plane; NoServer if it is not there (yet)."""
        location = self._location
        if location.key is not None or location.access_file is not None:
            return location.worker_address()
        number = int.from_bytes(self._found[:], "big")
        if not number:
            from hypershell.serverdir.run_record import load_run

            record = load_run(location.access_path().parent).record
            number = 1 + int(record.home or 0 if record else 0)
        address = replace(location, home=_home_name(number)).worker_address()
        self._found[:] = number.to_bytes(_HOME_BYTES, "big")
        return address


_HOME_BYTES = 8


def _home_name(number: int) -> str:
    """A home as its directory is called; 1 stands for the server directory itself."""
    return f"{number - 1:03d}" if number > 1 else ""


def connect(
    location: ServerLocation, command: str, patience: float = PATIENCE_SECONDS
) -> "ClientPlaneProxy":
    """The client plane of the server at a location, connected; NoServer or Refused.

    A server that is there and does not answer is waited for, for so many seconds.
    """
    from hypershell.access.keys import CLIENT, plane_secret
    from hypershell.runtime import clock
    from hypershell.runtime.backoff import Backoff
    from hypershell.wire.client_plane import ClientPlaneProxy

    location = location.chosen()
    path = location.access_path()
    access = location.passphrases.open(path)
    endpoint = access.endpoint(CLIENT, command, path)
    proxy = ClientPlaneProxy(endpoint.host, endpoint.port, plane_secret(endpoint.key, CLIENT))
    proxy.server_uid = access.server_uid
    begin, backoff, said = clock.monotonic(), Backoff(0.1, 1.0), False
    while True:
        try:
            proxy.connection()
            return proxy
        except NoServer as error:
            explained = location.explain(error)
            left = begin + min(patience, _patience_with(error, explained)) - clock.monotonic()
            pause = backoff.pause()
            if pause > left:
                raise explained from error
            if not said:
                log.warning("%s; waiting for it", error)
                said = True
            proxy.patience = left
        clock.sleep(pause)  # nothing tells when a server answers again


def _patience_with(error: NoServer, explained: NoServer) -> float:
    """How many seconds, at most, a server is waited for that could not be reached for this."""
    from hypershell.access.errors import ServerDied, ServerEnded

    if isinstance(explained, ServerEnded | ServerDied):
        return 0.0  # the directory knows that there is none
    if isinstance(error, ServerSilent | HostLookupFailed):
        return float("inf")
    if not isinstance(error, ServerUnreachable):
        return 0.0
    if isinstance(error.__cause__, TimeoutError):
        return float("inf")
    hung_up = isinstance(error.__cause__, EOFError | ConnectionResetError | BrokenPipeError)
    return _HANG_UP_SECONDS if hung_up else 0.0
