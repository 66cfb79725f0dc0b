"""The door of a plane: who is let in, what they may call, and how strangers fare."""

import contextlib
import errno
import os
import pickle
import resource
import select
import socket
import ssl
import threading
import time
from multiprocessing.reduction import ForkingPickler

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from hypershell.access.keys import WORKER
from hypershell.core.errors import ServerUnreachable
from hypershell.wire import frames
from hypershell.wire import plane_server as door_module
from hypershell.wire.connection import WORKER_FRAME, Connection
from hypershell.wire.plane import dial
from hypershell.wire.preamble import PROTOCOL
from hypershell.wire.proxy import PlaneProxy
from hypershell.wire.refusal import CallRefused, ErrorKind
from hypershell.wire.strangers import STRANGERS
from hypershell.wire.tls import _context, client_context
from tests.helpers.fakes import Call
from tests.helpers.waiting import until
from tests.unit.wire.conftest import OTHER_SECRET, SECRET, read_to_end
from tests.unit.wire.test_codec import Bomb

GREETING = b"hyper-shell %d worker worker\n" % PROTOCOL


def call(peer: Connection, verb: str, *arguments: object, ident: object = "thing") -> object:
    """One request and its answer."""
    peer.send((ident, verb, list(arguments), {}))
    kind, value = peer.recv()
    if kind == "#ERROR":
        raise value
    return value


def test_who_holds_the_key_may_call(peer, thing):
    """And gets what the verb returned."""
    assert ["a", 1] == call(peer, "say", ["a", 1])
    assert [["a", 1]] == thing.called


FORBIDDEN = [
    "shutdown", "create", "debug_info", "number_of_objects", "dummy", "get_methods", "incref",
    "decref", "accept_connection", "secret", "called", "__init__", "__class__", "__reduce__",
    "__getattribute__", "#GETVALUE", "", "say ", "SAY", "say\0",
]  # fmt: skip


@pytest.mark.parametrize("ident", ["thing", None, "0", ""])
def test_no_other_verb_can_be_called(peer, thing, ident):
    """Not those of the manager, nor what is not listed, nor on what does not exist."""
    for verb in FORBIDDEN:
        with pytest.raises(CallRefused) as refused:
            call(peer, verb, ident=ident)
        assert refused.value.kind in (ErrorKind.NO_SUCH_VERB, ErrorKind.BAD_REQUEST)

    assert [] == thing.called
    assert 5 == call(peer, "say", 5)


NO_REQUESTS: list[object] = [
    None, 5, "say", [], ["thing"], ["thing", "say", [], {}, 1], ["thing", b"say", [], {}],
    ["thing", "say", "x", {}], ["thing", "say", {}, []], {"thing": "say"},
]  # fmt: skip


def test_what_is_no_request_is_answered_with_an_error(peer, thing):
    """The connection goes on."""
    answers = []
    for nonsense in NO_REQUESTS:
        peer.send(nonsense)
        answers.append(peer.recv())

    assert [("#ERROR", CallRefused)] * len(NO_REQUESTS) == [(a[0], type(a[1])) for a in answers]
    assert [] == thing.called


@pytest.mark.parametrize("arguments", [(1, 2, 3), ([],) * 9])
def test_arguments_that_do_not_fit_are_answered_with_an_error(peer, arguments):
    """The verb was not begun."""
    with pytest.raises(CallRefused) as refused:
        call(peer, "say", *arguments)

    assert ErrorKind.BAD_REQUEST is refused.value.kind


def test_what_a_verb_refuses_is_told(peer):
    """With its reason."""
    with pytest.raises(CallRefused, match="not a greeting") as refused:
        call(peer, "refuse", "not a greeting")

    assert ErrorKind.BAD_REQUEST is refused.value.kind


def test_what_goes_wrong_inside_is_not_told(peer, caplog):
    """It is in the server's own log; the connection goes on."""
    with pytest.raises(CallRefused, match="see its log") as refused:
        call(peer, "fail")

    assert ErrorKind.FAILED is refused.value.kind
    assert "alice" in caplog.text
    assert 5 == call(peer, "say", 5)


def test_a_pickle_is_the_end_of_a_connection(peer, monkeypatch, thing):
    """Nothing loads it, also from one who holds the key."""

    def never(*_: object) -> None:
        thing.called.append("unpickled")
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "loads", never)
    monkeypatch.setattr(ForkingPickler, "loads", never)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with contextlib.suppress(OSError):
            peer.send_bytes(pickle.dumps(Bomb(), protocol))

    with pytest.raises((EOFError, OSError)):
        peer.recv()
    assert [] == thing.called


def test_no_pickle_is_made_or_read_by_a_whole_conversation(address, monkeypatch):
    """The manager's own proxy included."""

    def never(*_: object) -> None:
        raise AssertionError("something was pickled")

    for place in (pickle, ForkingPickler):
        for name in ("loads", "dumps"):
            monkeypatch.setattr(place, name, never)
    proxy = PlaneProxy(WORKER, "thing", *address, SECRET)

    assert [b"\xff", {"a": None}] == proxy._call("say", [b"\xff", {"a": None}])
    with pytest.raises(CallRefused, match="no"):
        proxy._call("refuse", "no")
    with pytest.raises(CallRefused, match="unknown request"):
        proxy._call("secret")
    proxy.hang_up()


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n", b"\n", b"hyper-shell\n",
     b"\x16\x03\x01\x02\x00\x01" + b"\0" * 512, b"\x80\x04\x95" + b"x" * 100],
)  # fmt: skip
def test_who_speaks_otherwise_is_sent_away(stranger, said):
    """In clear text, TLS without a greeting, or garbage; at once, and without details."""
    sock = stranger()
    sock.sendall(said)

    answer = read_to_end(sock)

    assert answer in (b"", b"hyper-shell: this port is only for hyper-shell\n")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (GREETING, b"hyper-shell ok\n"),
        (b"hyper-shell 1 worker worker\n", b"hyper-shell version 3\n"),
        (b"hyper-shell 3 client client\n", b"hyper-shell plane worker\n"),
        (b"hyper-shell 3 worker client\n", b"hyper-shell plane worker\n"),
    ],
)
def test_a_greeting_is_answered_in_clear(stranger, said, answer):
    """So that a wrong version or plane is told apart."""
    sock = stranger()
    sock.sendall(said)

    assert answer == sock.recv(100)


def test_garbage_after_the_greeting_is_the_end(stranger):
    """TLS decides, whatever was greeted with."""
    sock = stranger()
    sock.sendall(GREETING)
    sock.recv(100)

    sock.sendall(b"\0" * 1000)

    read_to_end(sock)


def secured(sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Greet, and go over to TLS."""
    sock.sendall(GREETING)
    assert b"hyper-shell ok\n" == sock.recv(100)
    return context.wrap_socket(sock)


def test_a_huge_frame_before_the_challenge_is_the_end(stranger):
    """It is refused by its length."""
    tls = secured(stranger(), client_context(SECRET))

    with contextlib.suppress(OSError):
        tls.sendall(b"\xff\xff\xff\xff" + b"x" * 1000)

    assert b"#CHALLENGE#" in read_to_end(tls)


def test_who_skips_the_challenge_is_sent_away(stranger, thing):
    """A request is no answer to it."""
    tls = secured(stranger(), client_context(SECRET))
    connection = Connection(tls)
    connection.set_timeout(5.0)

    with contextlib.suppress(OSError):
        connection.send(("thing", "say", ["x"], {}))
    tls.setblocking(True)
    read_to_end(tls)

    assert [] == thing.called


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(lambda: client_context(OTHER_SECRET), id="another key"),
        pytest.param(lambda: without_certificate(), id="no certificate"),
        pytest.param(
            lambda: _context(SECRET, ssl.PROTOCOL_TLS_CLIENT, ExtendedKeyUsageOID.SERVER_AUTH),
            id="a server's leaf",
        ),
    ],
)
def test_tls_lets_in_only_a_client_with_the_key(stranger, context):
    """The refusal comes with the first read, as the client has finished before it was judged."""
    own = context()
    own.verify_mode = ssl.CERT_NONE  # to see the server's judgement, not the client's

    with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        secured(stranger(), own).recv(100)


def without_certificate() -> ssl.SSLContext:
    """A client that any web server would let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return context


def test_older_tls_is_not_spoken(stranger):
    """1.3 and nothing below."""
    context = without_certificate()
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        secured(stranger(), context)


@pytest.mark.parametrize("greeted", [False, True])
def test_a_peer_that_drips_meets_the_deadline(monkeypatch, stranger, greeted):
    """Of its admission as a whole, in the greeting or in TLS."""
    monkeypatch.setattr(door_module, "ADMISSION_SECONDS", 0.3)
    sock = stranger()
    if greeted:
        sock.sendall(GREETING)
        sock.recv(100)
    drip = b"\x16\x03\x01\x01\x00" + b"\x01" * 500 if greeted else b"hyper-shell 3 worker" * 50
    begin = time.monotonic()

    with contextlib.suppress(OSError):
        for byte in drip:
            sock.sendall(bytes([byte]))
            if select.select([sock], [], [], 0.02)[0]:
                break

    assert 0.2 < time.monotonic() - begin < 3.0


def test_200_silent_peers_lock_nobody_out(stranger, address, plane_server):
    """The oldest of them give way."""
    silent = [stranger() for _ in range(200)]

    connection = dial(address, SECRET)
    connection.send((None, "accept_connection", ("peer",), {}))

    assert ["#RETURN", None] == connection.recv()
    assert len(list(plane_server._strangers)) <= STRANGERS
    assert b"" == read_to_end(silent[0])
    connection.close()


def test_a_thread_that_cannot_be_had_costs_one_connection(monkeypatch, stranger, address, caplog):
    """The door goes on."""
    real, refused = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if thread.name == "peer" and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)

    assert b"" == read_to_end(stranger())
    assert "can't start new thread" in caplog.text
    dial(address, SECRET).close()


def test_no_descriptor_left_neither_ends_nor_spins_the_door(
    monkeypatch, address, caplog, plane_server
):
    """It waits a moment each time, says so once, and goes on when there are descriptors again."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    filler: list[int] = []
    failed: list[float] = []
    real = plane_server._accept_failed

    def note(error: OSError) -> None:
        failed.append(time.monotonic())
        real(error)

    def failures() -> int:
        with contextlib.suppress(OSError):
            while True:
                filler.append(os.dup(0))
        return len(failed)

    monkeypatch.setattr(plane_server, "_accept_failed", note)
    waiting = socket.socket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 60, before[1]))
    try:
        failures()
        waiting.connect(address)
        until(lambda: failures() >= 5, 5.0, "accepting has failed again and again")
    finally:
        for descriptor in filler:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        waiting.close()

    assert failed[4] - failed[0] > 0.3
    assert 1 == caplog.text.count("cannot accept connections at the moment: too many open files")
    dial(address, SECRET).close()


def test_an_accept_that_fails_otherwise_is_gone_over(monkeypatch, address, plane_server):
    """A peer that was gone before it was accepted."""
    real, failures = plane_server.listener.accept, [OSError(errno.ECONNABORTED, "aborted")] * 3

    def accept() -> Connection:
        if failures:
            raise failures.pop()
        return real()

    monkeypatch.setattr(plane_server.listener, "accept", accept)
    dial(address, SECRET).close()  # the call that was under way already

    dial(address, SECRET).close()

    assert [] == failures


def test_a_parked_call_does_not_hold_up_others(peer, address, thing):
    """Each connection has its thread."""
    parked = Call(call, peer, "park", 10.0)
    thing.parked.wait(5.0)
    other = PlaneProxy(WORKER, "thing", *address, SECRET)

    assert 1 == other._call("say", 1)
    assert not parked.is_over()
    thing.go_on.set()
    assert parked.result() is True
    other.hang_up()


def test_a_parked_call_ends_when_its_client_gives_it_up(peer, thing):
    """From another thread; the client need not wait for the server."""
    peer.set_timeout(None)
    parked = Call(call, peer, "park", 10.0)
    thing.parked.wait(5.0)

    peer.abort()

    with pytest.raises((EOFError, OSError)):
        parked.result()


def test_a_door_that_stops_answers_what_is_under_way(peer, thing, plane_server):
    """And hangs up then."""
    parked = Call(call, peer, "park", 10.0)
    thing.parked.wait(5.0)
    stopping = Call(plane_server.stop, 5.0)
    assert not stopping.is_over(0.05)

    thing.go_on.set()

    assert parked.result() is True
    stopping.result()
    with pytest.raises((EOFError, OSError)):
        peer.recv()


def test_a_door_that_stops_waits_no_longer_than_it_is_told(peer, thing, plane_server):
    """Whoever is parked then is hung up on."""
    parked = Call(call, peer, "park", 10.0)
    thing.parked.wait(5.0)

    plane_server.stop(patience_seconds=0.05)

    with pytest.raises((EOFError, OSError)):
        parked.result()


def test_a_stopped_door_lets_nobody_in(plane_server, address):
    """Its port is free again."""
    plane_server.stop(patience_seconds=0.0)

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, 5.0)


def test_a_peer_that_does_not_take_its_answer_is_cut_off(monkeypatch, peer, plane_server, thing):
    """It would hold a thread for ever."""
    monkeypatch.setattr(door_module, "REPLY_SECONDS", 0.2)
    monkeypatch.setattr(thing, "say", lambda: b"x" * 20_000_000)

    peer.send(("thing", "say", [], {}))

    until(lambda: not plane_server._peers, 5.0, "the peer is gone")


def test_a_frame_over_the_limit_is_the_end_of_a_connection(peer):
    """Also from one who holds the key."""
    peer.send_raw((16 * 2**20 + 1).to_bytes(4, "big"))

    with pytest.raises((EOFError, OSError)):
        peer.recv()


def test_a_large_message_arrives(peer):
    """Once its sender is trusted."""
    value = [b"x" * 1000] * 5000

    assert value == call(peer, "say", value)


@pytest.mark.parametrize("answer", [{1, 2}, b"x" * (64 * 2**20)], ids=["no value", "too large"])
def test_an_answer_that_cannot_be_sent_is_an_error(peer, thing, monkeypatch, answer):
    """The peer is told, and may ask again: it would take a silent end for that of the server."""
    monkeypatch.setattr(thing, "say", lambda: answer)

    for _ in range(2):
        with pytest.raises(CallRefused, match="cannot be sent"):
            call(peer, "say")


def test_who_comes_first_is_greeted_whatever_others_do(stranger, address):
    """Accepting reads nothing: one who stalls holds up nobody."""
    stalling = stranger()
    stalling.sendall(b"hyper-sh")

    connection = dial(address, SECRET)
    connection.close()

    assert not select.select([stalling], [], [], 0)[0]


def test_strangers_that_greet_and_stop_do_not_lock_a_peer_out(stranger, address):
    """A greeting is no proof, and anybody can send it: a peer that tries again gets through."""
    over = threading.Event()

    def flood() -> None:
        while not over.wait(0.005):
            with contextlib.suppress(OSError):
                stranger().sendall(GREETING)

    crowd = [stranger() for _ in range(STRANGERS)]
    for sock in crowd:
        sock.sendall(GREETING)
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        until(lambda: admitted(address), 10.0, "a peer gets through")
    finally:
        over.set()
        thread.join()


def admitted(address) -> bool:
    """Whether one attempt to be let in succeeds."""
    try:
        dial(address, SECRET).close()
    except ServerUnreachable:
        return False
    return True


def empty_lists(number: int) -> bytes:
    """A frame of so many empty lists in one."""
    return b"\xdd" + number.to_bytes(4, "big") + b"\x90" * number


def test_a_frame_of_empty_lists_is_refused_before_anything_is_made_of_it(peer, plane_server):
    """16 MiB of them would take more than a gigabyte, and seconds."""
    begin = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    peer.send_bytes(empty_lists(WORKER_FRAME - 5))
    with pytest.raises((EOFError, OSError)):
        peer.recv()

    assert time.monotonic() - begin < 5.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_frame_that_is_not_gone_on_with_ends_its_connection(peer, monkeypatch, address):
    """Its last byte is withheld, and what came of it is kept no longer than it may take."""
    monkeypatch.setattr(frames, "_BEGIN_SECONDS", 0.3)

    peer.send_raw((100_000).to_bytes(4, "big") + b"x" * 99_999)

    with pytest.raises((EOFError, OSError)):
        peer.recv()


def test_a_header_that_is_not_gone_on_with_ends_its_connection(peer, monkeypatch):
    """A frame is begun by its first byte."""
    monkeypatch.setattr(frames, "_BEGIN_SECONDS", 0.3)

    peer.send_raw(b"\0")

    with pytest.raises((EOFError, OSError)):
        peer.recv()


def test_a_peer_that_says_nothing_is_waited_for(peer, monkeypatch):
    """It has begun no frame: a client may have nothing to say for long."""
    monkeypatch.setattr(frames, "_BEGIN_SECONDS", 0.05)

    assert not peer.poll(0.3)

    assert 5 == call(peer, "say", 5)
