"""The server's socket, bound before anything else, so that a wrong address shows at once."""

import errno
import ipaddress
import logging
import socket
from typing import Any

from hypershell.core.errors import AddressInUse, AddressUnusable, HostUnknown, KeyTooShort

log = logging.getLogger(__name__)


def bind(host: str, port: int, *, any_port_will_do: bool) -> socket.socket:
    """A socket that listens on an address; peers may connect, and wait until they are served.

    If the port is in use, another one is taken if any will do, or it is AddressInUse. An address
    that cannot be listened on is AddressUnusable or HostUnknown.
    """
    where = {"host": host, "port": port}
    if host in ("", "*") and socket.has_dualstack_ipv6():
        return _bind_to(socket.AF_INET6, ("::", port), where, any_port_will_do)
    try:
        found = socket.getaddrinfo(
            None if host in ("", "*") else host,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (socket.gaierror, UnicodeError) as error:
        raise HostUnknown(**where) from error
    # IPv4 first: that is where most programs look for localhost first.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return _bind_to(found[0][0], found[0][4], where, any_port_will_do)


def _bind_to(
    family: int, address: tuple[Any, ...], where: dict[str, Any], any_port_will_do: bool
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address[0] == "::":  # all addresses, of both kinds
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            sock.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not any_port_will_do:
                raise
            log.info("port %d on %s is in use; using another one", where["port"], where["host"])
            sock.bind((address[0], 0, *address[2:]))
        # Listening tells whether the port is really free, and lets clients in early.
        sock.listen(512)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(**where) from error
        raise AddressUnusable(**where, reason=(error.strerror or "").lower()) from error
    return sock


def is_loopback(sock: socket.socket) -> bool:
    """Whether only this machine can reach the socket."""
    return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback


def check_key(key: str, sock: socket.socket, host: str) -> None:
    """KeyTooShort, if others can reach the server and could guess its key."""
    from hypershell.access.keys import is_short

    if is_short(key) and not is_loopback(sock):
        raise KeyTooShort(length=len(key), host=host)
