"""The server's socket, bound before anything else, so that a wrong address shows at once."""

import errno
import ipaddress
import logging
import socket
from typing import Any

from hypershell.access.keys import is_short
from hypershell.core.errors import AddressInUse, AddressUnusable, KeyTooShort, NoServer
from hypershell.core.host import bare
from hypershell.wire.address import Address, cannot_be_used, look_up, reason_of

log = logging.getLogger(__name__)


def bind(host: str, port: int, *, any_port_will_do: bool) -> socket.socket:
    """A socket that listens on an address; peers may connect, and wait until they are served.

    If the port is in use, another one is taken if any will do, or it is AddressInUse. An address
    that cannot be listened on is AddressUnusable, HostUnknown or HostLookupFailed.
    """
    host = bare(host)
    where = {"host": host, "port": port}
    failure: OSError | None = None
    for address in _candidates(host, port):
        try:
            sock = _bind_to(address, where, any_port_will_do)
        except OSError as error:
            failure = failure or error
            if cannot_be_used(error):
                continue  # of the addresses of a name, this machine may have another
            break
        _warn_of_loopback(host, sock)
        return sock
    assert failure is not None
    if failure.errno == errno.EADDRINUSE:
        raise AddressInUse(**where) from failure
    raise AddressUnusable(**where, reason=reason_of(failure)) from failure


def _candidates(host: str, port: int) -> list[Address]:
    """The addresses to listen on, of which the first that this machine has is taken."""
    if host in ("", "*"):
        both = [Address(socket.AF_INET6, ("::", port))] if socket.has_dualstack_ipv6() else []
        return [*both, Address(socket.AF_INET, ("0.0.0.0", port))]
    try:
        found = look_up(host, port, passive=True)
    except NoServer as error:
        error.note(place="-H")
        raise
    # IPv4 first: that is where most programs look for localhost first.
    return sorted(found, key=lambda address: address.family != socket.AF_INET)


def _bind_to(address: Address, where: dict[str, Any], any_port_will_do: bool) -> socket.socket:
    """A socket that listens on one address; OSError."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    host, port, *rest = address.sockaddr
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":  # all addresses, of both kinds
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            sock.bind((host, port, *rest))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not any_port_will_do:
                raise
            log.info("port %d on %s is in use; using another one", where["port"], where["host"])
            sock.bind((host, 0, *rest))
        # Listening tells whether the port is really free, and lets clients in early.
        sock.listen(512)
    except OSError:
        sock.close()
        raise
    return sock


def _warn_of_loopback(host: str, sock: socket.socket) -> None:
    """Many a machine lists its own name under 127.0.1.1: that is not what others see."""
    if is_local_name(host) or not is_loopback(sock):
        return
    log.warning(
        "%s is %s here, so no other machine can connect; -H 0.0.0.0 listens on all addresses",
        host,
        sock.getsockname()[0],
    )


def is_local_name(host: str) -> bool:
    """Whether a name or address means this machine alone, wherever it is looked up."""
    name = host.lower().rstrip(".")
    if name in ("localhost", "ip6-localhost", "ip6-loopback") or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_loopback(sock: socket.socket) -> bool:
    """Whether only this machine can reach the socket."""
    return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback


def check_key(key: str, sock: socket.socket, host: str) -> None:
    """KeyTooShort, if others can reach the server and could guess its key."""
    if is_short(key) and not is_loopback(sock):
        raise KeyTooShort(length=len(key), host=host)
