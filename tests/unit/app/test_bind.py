"""The server's socket: which address, which port, which key."""

import errno
import os
import socket

import pytest

from hypershell.app.bind import bind, check_key, is_loopback
from hypershell.core.errors import (
    AddressInUse,
    AddressUnusable,
    HostLookupFailed,
    HostUnknown,
    HostUnsupported,
    KeyTooShort,
    NoServer,
)
from hypershell.wire.plane import _connect


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def test_a_port_in_use_is_told():
    """By its number."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]

        with pytest.raises(AddressInUse, match=str(port)):
            bind("127.0.0.1", port, any_port_will_do=False)


def test_another_port_is_taken_where_any_will_do(taken):
    """And the socket says which."""
    with bind("127.0.0.1", taken, any_port_will_do=True) as sock:
        assert taken != sock.getsockname()[1]


def test_a_bound_socket_lets_peers_in_already():
    """They wait until they are served."""
    with (
        bind("localhost", 0, any_port_will_do=False) as sock,
        socket.create_connection(sock.getsockname()[:2], 5.0) as peer,
    ):
        assert peer.getpeername()[1] == sock.getsockname()[1]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300])
def test_a_name_that_does_not_resolve_is_told(host):
    """Nothing is bound instead."""
    with pytest.raises(HostUnknown):
        bind(host, 0, any_port_will_do=False)


def test_an_address_of_another_machine_cannot_be_used():
    """192.0.2.0/24 is nobody's (RFC 5737)."""
    with pytest.raises(AddressUnusable, match=r"192\.0\.2\.1"):
        bind("192.0.2.1", 0, any_port_will_do=False)


@pytest.mark.parametrize(
    ("host", "loopback"), [("localhost", True), ("127.0.0.1", True), ("0.0.0.0", False)]
)
def test_it_is_known_whether_others_can_reach_it(host, loopback):
    """All addresses are more than loopback."""
    with bind(host, 0, any_port_will_do=False) as sock:
        assert loopback == is_loopback(sock)


@pytest.mark.parametrize(("host", "key"), [("127.0.0.1", "short"), ("0.0.0.0", "k" * 16)])
def test_a_key_is_long_enough_for_who_can_reach_it(host, key):
    """A short one on loopback, 16 characters elsewhere."""
    with bind(host, 0, any_port_will_do=False) as sock:
        check_key(key, sock, host)


def test_a_short_key_is_refused_where_others_could_guess_it():
    """Before anybody can try."""
    with (
        bind("0.0.0.0", 0, any_port_will_do=False) as sock,
        pytest.raises(KeyTooShort, match="15 characters"),
    ):
        check_key("k" * 15, sock, "0.0.0.0")


@pytest.mark.parametrize("host", ["[::1]", "::1", "[::]", "::", "*", ""])
def test_an_ipv6_address_is_taken_with_and_without_brackets(host):
    """As it is written in front of a port."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")

    with bind(host, 0, any_port_will_do=False) as sock:
        assert socket.AF_INET6 == sock.family


class Kernel:
    """A machine of which some kinds of addresses are missing, and whose hosts file is odd."""

    def __init__(self, monkeypatch, missing: int, hosts: dict[str, str]) -> None:
        self.real = socket.socket, socket.getaddrinfo
        self.missing = missing
        self.hosts = hosts
        monkeypatch.setattr(socket, "socket", self.socket)
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)
        monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)

    def socket(self, family, *more: int):
        if family == self.missing:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return self.real[0](family, *more)

    def getaddrinfo(self, host, *more: int, **options: int):
        return self.real[1](self.hosts.get(host, host), *more, **options)


def test_localhost_is_this_machine_where_the_hosts_file_knows_a_missing_kind_alone(monkeypatch):
    """`::1 localhost`, and a kernel without IPv6."""
    Kernel(monkeypatch, socket.AF_INET6, {"localhost": "::1"})

    with (
        bind("localhost", 0, any_port_will_do=False) as sock,
        _connect("localhost", sock.getsockname()[1]) as peer,
    ):
        assert "127.0.0.1" == peer.getpeername()[0]


@pytest.mark.parametrize("host", ["::1", "::", "[::]"])
def test_an_address_of_a_missing_kind_is_an_error_that_names_it(monkeypatch, host):
    """To listen on, and to connect to."""
    Kernel(monkeypatch, socket.AF_INET6, {})

    with pytest.raises(AddressUnusable, match="no addresses of that kind"):
        bind(host, 0, any_port_will_do=False)
    with pytest.raises(HostUnsupported, match="no addresses of that kind"):
        _connect(host, 1)


@pytest.mark.parametrize("where", ["", "*"])
def test_all_addresses_are_those_that_there_are(monkeypatch, where):
    """Without IPv6, those of IPv4."""
    Kernel(monkeypatch, socket.AF_INET6, {})

    with bind(where, 0, any_port_will_do=False) as sock:
        assert "0.0.0.0" == sock.getsockname()[0]


def test_a_name_that_only_this_machine_knows_by_loopback_is_warned_of(monkeypatch, caplog):
    """Debian lists a machine's own name under 127.0.1.1."""
    Kernel(monkeypatch, socket.AF_UNIX, {"node1.example.org": "127.0.1.1"})

    with (
        bind("node1.example.org", 0, any_port_will_do=False),
        bind("localhost", 0, any_port_will_do=False),
    ):
        pass

    assert 1 == len(caplog.messages)
    assert "node1.example.org is 127.0.1.1 here" in caplog.messages[0]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (socket.EAI_AGAIN, HostLookupFailed),
        (socket.EAI_SYSTEM, HostLookupFailed),
        (socket.EAI_MEMORY, HostLookupFailed),
        (socket.EAI_NONAME, HostUnknown),
        (socket.EAI_NODATA, HostUnknown),
        (socket.EAI_ADDRFAMILY, HostUnknown),
    ],
)
def test_a_name_service_that_is_away_is_told_from_a_name_that_does_not_exist(
    monkeypatch, number, expected
):
    """By whoever listens, and by whoever connects."""

    def fail(*_: object, **__: object):
        raise socket.gaierror(number, "the name service says so")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    for use in (lambda: bind("node1", 0, any_port_will_do=False), lambda: _connect("node1", 1)):
        with pytest.raises(NoServer) as caught:
            use()
        assert expected is type(caught.value)
