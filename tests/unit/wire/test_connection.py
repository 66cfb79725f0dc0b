"""Frames over a socket: their limits, their deadlines, and how a wait is ended."""

import socket
import time

import pytest

from hypershell.wire.codec import WireError
from hypershell.wire.connection import LARGE_FRAME, SMALL_FRAME, Connection, DeadlinePassed
from hypershell.wire.tls import client_context, server_context
from tests.helpers.fakes import Call
from tests.unit.wire.conftest import SECRET


@pytest.fixture
def ends():
    """Two connections with each other."""
    pair = [Connection(sock) for sock in socket.socketpair()]
    for connection in pair:
        connection.set_timeout(10.0)
    yield pair
    for connection in pair:
        connection.close()


@pytest.fixture
def secured(ends):
    """The same over TLS, both trusted."""
    server, client = ends
    serving = Call(server.start_tls, server_context(SECRET), True)
    client.start_tls(client_context(SECRET), server_side=False)
    serving.result()
    for connection in ends:
        connection.trust()
    return ends


@pytest.fixture
def raw():
    """A connection, and a plain socket at its other end."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    connection.set_timeout(10.0)
    yield connection, theirs
    connection.close()
    theirs.close()


def test_values_arrive_in_order(ends):
    """As they were sent."""
    one, other = ends

    one.send(["a", 1])
    one.send({"b": b"\xff"})

    assert ["a", 1] == other.recv()
    assert {"b": b"\xff"} == other.recv()


def test_values_arrive_in_order_over_tls(secured):
    """Large ones as well, which take many records."""
    one, other = secured
    value = [b"x" * 1000] * 10_000

    sending = Call(one.send, value)

    assert value == other.recv()
    sending.result()


def test_a_stranger_may_send_a_small_frame_only(raw):
    """A long one is refused by its length alone: nothing of it is waited for."""
    connection, theirs = raw
    theirs.send((SMALL_FRAME + 1).to_bytes(4, "big"))

    with pytest.raises(WireError, match="513 bytes where at most 512"):
        connection.recv_bytes()


def test_a_frame_of_4_gib_takes_no_memory(raw):
    """Neither before the peer is trusted nor after."""
    connection, theirs = raw
    connection.trust()
    theirs.send(b"\xff\xff\xff\xff" + b"x" * 100)

    with pytest.raises(WireError, match="4294967295 bytes"):
        connection.recv_bytes()

    assert len(connection._buffer) <= 104


def test_the_challenge_sets_a_limit_of_its_own(raw):
    """It reads at most 256 bytes."""
    connection, theirs = raw
    connection.trust()
    theirs.send((257).to_bytes(4, "big"))

    with pytest.raises(WireError, match="at most 256"):
        connection.recv_bytes(256)


def test_a_frame_over_the_limit_is_not_sent(ends):
    """Whoever packs tasks splits them; nothing of it has gone out."""
    one, other = ends

    with pytest.raises(WireError, match="over the limit"):
        one.send_bytes(b"\0" * (LARGE_FRAME + 1))

    assert not other.poll(0)


def test_an_empty_frame_is_a_frame(ends):
    """Nothing more is waited for."""
    one, other = ends

    one.send_bytes(b"")

    assert b"" == other.recv_bytes()


def test_a_peer_that_hangs_up_is_an_end_of_file(ends):
    """Also in the middle of a frame."""
    one, other = ends
    one.send_raw(b"\0\0\0\5ab")
    one.close()

    with pytest.raises(EOFError):
        other.recv_bytes()


def test_a_drip_does_not_stretch_the_deadline(raw):
    """A total, not one for each read."""
    connection, theirs = raw
    connection.set_timeout(0.2)
    begin = time.monotonic()
    receiving = Call(connection.recv_bytes)

    theirs.send(b"\0\0\1\0")
    while not receiving.is_over(0.02):
        theirs.send(b"x")
        assert time.monotonic() - begin < 5.0, "the drip has stretched it"

    with pytest.raises(DeadlinePassed):
        receiving.result()


def test_a_peer_that_reads_nothing_does_not_stretch_the_deadline(raw):
    """What is sent has a deadline as well."""
    connection, _ = raw
    connection.set_timeout(0.1)

    with pytest.raises(DeadlinePassed):
        connection.send_bytes(b"x" * 10_000_000)


def test_an_abort_ends_a_wait_in_another_thread(ends):
    """A parked call is given up at once."""
    one, _ = ends
    one.set_timeout(None)
    receiving = Call(one.recv)
    assert not receiving.is_over(0.02)

    one.abort()

    with pytest.raises((EOFError, OSError)):
        receiving.result()


def test_an_abort_ends_a_wait_over_tls(secured):
    """Without touching the TLS state that the other thread uses."""
    one, _ = secured
    one.set_timeout(None)
    receiving = Call(one.recv)
    assert not receiving.is_over(0.02)

    one.abort()

    with pytest.raises((EOFError, OSError)):
        receiving.result()


def test_an_abort_after_the_end_is_harmless(ends):
    """So is closing twice."""
    one, _ = ends
    one.close()

    one.abort()
    one.close()

    assert one.fileno() == -1


def test_a_poll_tells_what_is_there(ends):
    """In the socket, or read ahead already."""
    one, other = ends
    assert not other.poll(0)

    one.send("a")
    one.send("b")

    assert other.poll(5)
    other.recv()
    assert other.poll(0)
    other.recv()
    assert not other.poll(0)


def test_a_poll_tells_what_tls_has_read_ahead(secured):
    """One record may hold two frames."""
    one, other = secured
    one.send_raw(b"\0\0\0\1a\0\0\0\1b")

    assert b"a" == other.recv_bytes()
    assert other.poll(0)
    assert b"b" == other.recv_bytes()


def test_a_line_ends_at_its_newline(raw):
    """What follows is a frame."""
    connection, theirs = raw
    theirs.send(b"hello\n\0\0\0\1x")

    assert b"hello" == connection.recv_line(64)
    assert b"x" == connection.recv_bytes()


def test_a_line_that_does_not_end_is_refused(raw):
    """After as many bytes as it may have."""
    connection, theirs = raw
    theirs.send(b"x" * 1000)

    with pytest.raises(WireError, match="no line"):
        connection.recv_line(64)
