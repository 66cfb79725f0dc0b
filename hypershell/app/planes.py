"""Where a server listens and with which keys: from options, an access file, or a dead predecessor.

An access file made beforehand decides all of it. A server that finds a dead predecessor in its
directory keeps that one's keys and ports, so that the clients that are left find it again.
"""

import ipaddress
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hypershell import __version__
from hypershell.access.access_file import read_text
from hypershell.access.endpoints import Access, Endpoint, access_to
from hypershell.access.errors import AccessFileMissing, shown
from hypershell.access.keys import (
    CLIENT,
    DEFAULT_WORKER_PORT,
    WORKER,
    new_key,
    plane_secret,
)
from hypershell.app.bind import bind, check_key, is_local_name
from hypershell.app.locate import Passphrases
from hypershell.core.errors import HyperShellError, InputMissing, NoServer
from hypershell.runtime import clock
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.holder import this_host
from hypershell.serverdir.homes import MAIN
from hypershell.serverdir.run_record import Run
from hypershell.wire.address import look_up
from hypershell.wire.plane import greets

log = logging.getLogger(__name__)

ALL_ADDRESSES = "*"


@dataclass(frozen=True, slots=True)
class PlaneOptions:
    """Where a server was asked to listen. What is None is left to an access file or a default.

    `host` is the name by which others reach it, `bind_host` the address it listens on; `key` is
    that of the worker plane.
    """

    host: str | None = None
    bind_host: str | None = None
    worker_port: int | None = None
    client_port: int | None = None
    key: str | None = field(default=None, repr=False)


class PlannedPlane(NamedTuple):
    """One plane before it is bound. `others_do`: another port will do if this one is taken."""

    bind_host: str
    host: str | None
    port: int
    key: str
    others_do: bool

    def bind(self) -> socket.socket:
        """Its socket; AddressInUse, AddressUnusable, NoServer for its name, or KeyTooShort."""
        sock = bind(self.bind_host, self.port, any_port_will_do=self.others_do)
        try:
            check_key(self.key, sock, self.bind_host)
        except BaseException:
            sock.close()
            raise
        return sock

    def shown_host(self, sock: socket.socket) -> str:
        """The name by which others reach it."""
        if self.host is not None:
            return self.host
        address = ipaddress.ip_address(str(sock.getsockname()[0]).partition("%")[0])
        if address.is_unspecified:
            return this_host()
        return "localhost" if address == ipaddress.ip_address("127.0.0.1") else self.bind_host


class BoundPlanes(NamedTuple):
    """Both planes of a server, listening."""

    worker: socket.socket
    client: socket.socket
    plans: dict[str, PlannedPlane]

    def access(self, uid: str) -> Access:
        """What opens them; UsageError for a name that others cannot use."""
        endpoints = {
            plane: Endpoint(planned.shown_host(sock), sock.getsockname()[1], planned.key)
            for plane, sock, planned in self._each()
        }
        return access_to(uid, endpoints[WORKER], endpoints[CLIENT])

    def secrets(self) -> dict[str, tuple[socket.socket, bytes]]:
        """The secrets of the planes, as the server needs them."""
        return {
            plane: (sock, plane_secret(planned.key, plane)) for plane, sock, planned in self._each()
        }

    def _each(self) -> Iterator[tuple[str, socket.socket, PlannedPlane]]:
        yield WORKER, self.worker, self.plans[WORKER]
        yield CLIENT, self.client, self.plans[CLIENT]


class Plan(NamedTuple):
    """Both planes before they are bound."""

    plans: dict[str, PlannedPlane]

    @contextmanager
    def bind(self) -> Iterator[BoundPlanes]:
        """Both sockets, closed in the end."""
        with self.plans[WORKER].bind() as worker, self.plans[CLIENT].bind() as client:
            yield BoundPlanes(worker, client, self.plans)


def plan(
    options: PlaneOptions, prepared: Access | None = None, predecessor: Access | None = None
) -> Plan:
    """Where to listen, and with which keys.

    A `prepared` access file decides: clients elsewhere have it already. Of a `predecessor` that
    died, the new server uses its values where the options give none.
    """
    known = prepared or predecessor
    key = None if prepared else options.key
    worker, client = (known.worker, known.client) if known else (None, None)
    # Clients that were given a key come to the default port: it must be this server that is there.
    worker_moves = prepared is None and options.worker_port is None and key is None
    client_moves = prepared is None and options.client_port is None
    worker_port, client_port = options.worker_port, options.client_port
    if worker_port is None:
        worker_port = worker.port if worker else DEFAULT_WORKER_PORT
    if client_port is None:
        client_port = client.port if client else 0
    return Plan(
        {
            WORKER: _planned(options, worker, worker_port, key, worker_moves),
            CLIENT: _planned(options, client, client_port, None, client_moves),
        }
    )


def _planned(
    options: PlaneOptions, known: Endpoint | None, port: int, key: str | None, others_do: bool
) -> PlannedPlane:
    host = options.host
    if host is None and known is not None:
        host = known.host
    bind_host = options.bind_host
    if bind_host is None:
        bind_host = "localhost" if host is None else host if _is_loopback(host) else ALL_ADDRESSES
    return PlannedPlane(
        bind_host=bind_host,
        host=host,
        port=port,
        key=key or (known.key if known else new_key()),
        others_do=others_do,
    )


def _is_loopback(host: str) -> bool:
    """Whether a name can only mean this machine; one that does not resolve here does not."""
    if is_local_name(host):
        return True
    if _is_own_name(host):
        return False
    try:
        addresses = {str(address.sockaddr[0]) for address in look_up(host, 0)}
    except NoServer:
        return False
    # Others do not see what a machine lists its own names under, most often 127.0.1.1.
    return addresses <= {"127.0.0.1", "::1"}


def _is_own_name(host: str) -> bool:
    """Whether a name is one of this machine, with its domain or without."""
    return host.lower().partition(".")[0] == this_host().lower().partition(".")[0]


class PreparedAccess(NamedTuple):
    """An access file that was made beforehand: what it opens, and its bytes."""

    access: Access
    text: bytes


def access_from_file(named: str | None, passphrases: Passphrases) -> PreparedAccess | None:
    """An access file that opens both planes; None if none is named."""
    if named is None:
        return None
    path = Path(named)
    try:
        text = read_text(path)
        access = passphrases.open(path, text).need_full("hyper-shell server start", path)
        return PreparedAccess(access, text)
    except AccessFileMissing as error:
        raise InputMissing(path=named) from error


def predecessor_access(held: LockedDirectory, passphrases: Passphrases) -> Access | None:
    """What opened the server that died in this directory, if one did."""
    run = held.predecessor()
    if run is None:
        return None
    try:
        path = run.access_path
        access = passphrases.open(path).need_full("hyper-shell server", path)
    except HyperShellError as error:
        log.warning("the keys of the server that died here are lost: %s", error)
        return None
    log.info("continuing with the keys and ports of server %s, which died", access.server_uid)
    return access


def run_answers(run: Run) -> bool:
    """Whether the server of a run answers where its record says."""
    record = run.record
    return record is not None and greets(record.client_host, record.client_port, CLIENT)


def facts_of(access: Access, held: LockedDirectory, database: str | None) -> dict[str, Any]:
    """What `server info` tells of the server itself; no key."""
    facts: dict[str, Any] = {
        "server_uid": access.server_uid,
        "pid": os.getpid(),
        "host": this_host(),
        "started": clock.wall(),
        "version": __version__,
        "directory": shown(held.path),
        "current": held.home == MAIN,
        "database": database or "none (in memory)",
    }
    for plane, endpoint in access.endpoints.items():
        facts[f"{plane}_host"], facts[f"{plane}_port"] = endpoint.host, endpoint.port
    return facts
