"""How a client finds out what listens where, and why it is not let in."""

import os
import socket
import ssl
import threading

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from hypershell.access.keys import CLIENT, WORKER
from hypershell.core.errors import (
    HostUnknown,
    KeyRefused,
    NotOurServer,
    PlaneRefused,
    ServerSilent,
    ServerUnreachable,
    VersionMismatch,
)
from hypershell.wire import plane as manager
from hypershell.wire.client_plane import ClientPlaneProxy
from hypershell.wire.plane import Plane, dial, greets
from hypershell.wire.proxy import PlaneProxy
from hypershell.wire.tls import _context, challenge_key, client_context, server_context
from tests.unit.wire.conftest import OTHER_SECRET, SECRET, Thing


@pytest.fixture
def impostor(monkeypatch):
    """Listen on a port and do something with the first who connects."""
    monkeypatch.setattr(manager, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(manager, "ADMISSION_SECONDS", 0.4)
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def start(behave):
        def serve() -> None:
            sock, _ = listening.accept()
            with sock:
                sock.settimeout(5.0)
                try:
                    behave(sock)
                except OSError:
                    pass

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[0].start()
        return listening.getsockname()

    yield start
    listening.close()
    for thread in threads:
        thread.join(5.0)


def say(*words: bytes):
    """Answer each thing that comes with the next words, then hang up."""

    def behave(sock: socket.socket) -> None:
        for word in words:
            sock.recv(1000)
            sock.sendall(word)

    return behave


def wait_for_the_end(sock: socket.socket) -> None:
    """Say nothing until the other side hangs up."""
    while sock.recv(1000):
        pass


def test_another_key_is_refused_by_its_name(address):
    """Not as a server that is unreachable."""
    with pytest.raises(KeyRefused, match="refused this key"):
        dial(address, OTHER_SECRET)


def test_the_other_plane_is_told_apart(address):
    """Whatever the key."""
    with pytest.raises(PlaneRefused, match=r"worker port of .*; the client port is needed"):
        dial(address, SECRET, CLIENT)


def test_a_refusal_leaves_no_descriptor(address):
    """A client that waits may be refused often."""
    dial(address, SECRET).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(KeyRefused):
            dial(address, OTHER_SECRET)

    # The door's side of the last one may still be closing.
    assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_a_port_where_nobody_listens_is_unreachable():
    """It may be worth another try."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()

    with pytest.raises(ServerUnreachable, match="connection refused"):
        dial(address, SECRET)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "host..name"])
def test_a_name_that_does_not_resolve_is_told(host):
    """Waiting does not mend it."""
    with pytest.raises(HostUnknown):
        dial((host, 1), SECRET)


@pytest.mark.parametrize(
    "words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"hyper-shell maybe\n",
              b"hyper-shell plane moon\n", b"x" * 100]
)  # fmt: skip
def test_who_answers_otherwise_is_no_server_of_ours(impostor, words):
    """A web server, say."""
    with pytest.raises(NotOurServer):
        dial(impostor(say(words)), SECRET)


def test_who_says_nothing_is_told_apart(impostor):
    """It is not waited for without end."""
    with pytest.raises(ServerSilent):
        dial(impostor(wait_for_the_end), SECRET)


def test_who_hangs_up_at_once_is_unreachable(impostor):
    """It may be a server that is ending, or starting."""
    with pytest.raises(ServerUnreachable):
        dial(impostor(lambda sock: None), SECRET)


def test_another_version_is_told(impostor):
    """By its number."""
    with pytest.raises(VersionMismatch, match="7"):
        dial(impostor(say(b"hyper-shell version 7\n")), SECRET)


def test_who_does_not_speak_tls_after_all_is_not_let_on(impostor):
    """The greeting is believed for the message alone."""
    with pytest.raises((KeyRefused, NotOurServer, ServerUnreachable)):
        dial(impostor(say(b"hyper-shell ok\n", b"\0" * 100)), SECRET)


def serve_tls(context: ssl.SSLContext):
    """A server that greets and speaks TLS, and is let down by what it shows."""

    def behave(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"hyper-shell ok\n")
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(1000)

    return behave


def test_the_leaf_of_a_client_cannot_pose_as_a_server(impostor):
    """A client with the key is not the server, and learns nothing from other clients."""
    context = _context(SECRET, ssl.PROTOCOL_TLS_SERVER, ExtendedKeyUsageOID.CLIENT_AUTH)

    with pytest.raises(KeyRefused):
        dial(impostor(serve_tls(context)), SECRET)


def test_a_server_with_another_key_is_refused_by_the_client(impostor):
    """Each side judges the other."""
    context = server_context(OTHER_SECRET)
    context.verify_mode = ssl.CERT_NONE

    with pytest.raises(KeyRefused):
        dial(impostor(serve_tls(context)), SECRET)


def test_a_server_that_falls_silent_in_tls_is_given_up(impostor):
    """After a while, as unreachable."""

    def behave(sock: socket.socket) -> None:
        say(b"hyper-shell ok\n")(sock)
        wait_for_the_end(sock)

    with pytest.raises(ServerUnreachable, match="does not answer"):
        dial(impostor(behave), SECRET)


def test_a_server_is_told_from_others_without_its_key(address, impostor):
    """Whether one of ours listens there."""
    assert greets(*address, WORKER)
    assert greets(*address, CLIENT)
    assert not greets(*impostor(say(b"HTTP/1.1 400\r\n")), WORKER)
    assert not greets("no.such.host.invalid", 1, WORKER)


def test_a_server_is_found_by_ipv6_as_well():
    """Or by either, where a name has both."""
    try:
        sock = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    plane_server = Plane(
        sock, WORKER, SECRET, {"thing": (Thing(), frozenset({"say"}))}
    ).get_server()
    plane_server.start()

    dial(("::1", sock.getsockname()[1]), SECRET).close()

    plane_server.stop(0.0)


def test_a_context_is_made_once_for_a_secret():
    """It takes milliseconds, and a server that comes back is dialled often."""
    assert client_context(SECRET) is client_context(SECRET)
    assert client_context(SECRET) is not client_context(OTHER_SECRET)


def test_the_key_of_the_challenge_tells_nothing_of_the_secret():
    """It is derived, and differs."""
    assert challenge_key(SECRET) != SECRET
    assert challenge_key(SECRET) != challenge_key(OTHER_SECRET)


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        EOFError(),
        ConnectionResetError(),
    ],
)
def test_a_server_that_hangs_up_after_it_has_admitted_a_peer_is_gone(monkeypatch, error):
    """It was ending: the error says so, and is none of the system's own."""

    def hang_up(self):
        raise error

    monkeypatch.setattr(PlaneProxy, "_connect", hang_up)
    proxy = ClientPlaneProxy("localhost", 1, b"s" * 32)

    with pytest.raises(ServerUnreachable, match="localhost"):
        proxy.connection()


@pytest.mark.parametrize("context", [server_context, client_context])
def test_a_clock_that_was_never_set_keeps_nobody_out(context):
    """One without a battery begins in 1970, in some time zones a day before."""
    (authority,) = context(SECRET).get_ca_certs()

    not_before = authority["notBefore"]

    assert int(not_before.split()[3]) < 1969
