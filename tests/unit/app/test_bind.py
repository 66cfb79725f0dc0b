"""The server's socket: which address, which port, which key."""

import socket

import pytest

from hypershell.app.bind import bind, check_key, is_loopback
from hypershell.core.errors import AddressInUse, AddressUnusable, HostUnknown, KeyTooShort


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
