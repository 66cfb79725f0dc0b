"""Addresses as people write them and as the system takes them: the one place for look-ups.

A name that cannot be looked up at the moment (HostLookupFailed) is worth another try, one that does
not exist (HostUnknown) is not. `localhost` is this machine whatever its resolver says (RFC 6761):
many a machine lists it under an address that its kernel does not have.
"""

import errno
import socket
from typing import Any, NamedTuple

from hypershell.core.errors import HostLookupFailed, HostUnknown, system_reason
from hypershell.core.host import bare
from hypershell.runtime.limits import opening

_NO_SUCH_NAME = frozenset(
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY", "EAI_FAMILY", "EAI_SERVICE")
    if hasattr(socket, name)
)
"""What waiting does not mend; every other error of a look-up may pass."""

_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
"""Errors of an address that this machine cannot use, no matter what listens there."""


class Address(NamedTuple):
    """One address of a host, as the system takes it: for `socket.socket` and `connect` or `bind`.

    `sockaddr` has two parts, or four for IPv6.
    """

    family: int
    sockaddr: tuple[Any, ...]


def look_up(host: str, port: int, *, passive: bool = False) -> list[Address]:
    """The addresses of a host, at least one, in the order in which they are to be tried.

    With `passive` they are for listening. HostUnknown; HostLookupFailed where it may succeed later.
    May block for as long as the resolver of the machine does.
    """
    host = bare(host)
    loopback = _loopback(port) if _is_localhost(host) else []
    flags = socket.AI_PASSIVE if passive else 0
    try:
        with opening:  # the resolver reads files, and asks by sockets
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        raise HostUnknown(host=host, port=port) from error
    except OSError as error:
        if loopback:
            return loopback
        if error.errno in _NO_SUCH_NAME:
            raise HostUnknown(host=host, port=port) from error
        reason = system_reason(error)
        raise HostLookupFailed(host=host, port=port, reason=reason) from error
    found = [Address(entry[0], tuple(entry[4])) for entry in entries]
    return list(dict.fromkeys([*found, *loopback]))


def cannot_be_used(error: OSError) -> bool:
    """Whether an address failed because this machine has none of its kind."""
    return error.errno in _NOT_HERE


def reason_of(error: BaseException) -> str:
    """Why an address cannot be used, or a connection is not there, in a few words."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, EOFError):
        return "it closed the connection"
    if isinstance(error, OSError) and error.errno == errno.EAFNOSUPPORT:
        return "this machine has no addresses of that kind"
    return system_reason(error)


def shown_host(sockaddr: tuple[Any, ...]) -> str:
    """The host of a socket's address, fit for another look-up on this machine."""
    host = str(sockaddr[0])
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in host:
        return f"{host}%{sockaddr[3]}"  # a link-local address means nothing without its link
    return host


def _is_localhost(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _loopback(port: int) -> list[Address]:
    return [
        Address(socket.AF_INET, ("127.0.0.1", port)),
        Address(socket.AF_INET6, ("::1", port, 0, 0)),
    ]
