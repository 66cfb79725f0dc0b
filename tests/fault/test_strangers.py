"""Peers without the key, and clients that want more than a client may: all are served nothing,
while a good client is served as if they were not there.
"""

import contextlib
import os
import pickle
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator

import psutil
import pytest

from hypershell.access.keys import WORKER, plane_secret
from hypershell.core.errors import NoServer
from hypershell.wire.codec import WireError
from hypershell.wire.connection import Connection
from hypershell.wire.plane import dial
from hypershell.wire.preamble import PROTOCOL
from hypershell.wire.refusal import CallRefused
from tests.helpers.farm import Farm, Process, rarely
from tests.helpers.waiting import stays, until

PREAMBLE = f"hyper-shell {PROTOCOL} {WORKER} {WORKER}\n".encode()
TASKS = 30


@pytest.fixture
def server(farm: Farm) -> Process:
    """A server of some tasks that nobody runs yet."""
    return farm.start_server(["echo >> ran"] * TASKS)


@pytest.fixture
def connect(farm: Farm, server: Process) -> Iterator:
    """Make raw connections to the server."""
    with contextlib.ExitStack() as sockets:

        def make(first_words: bytes = b"") -> socket.socket:
            sock = socket.create_connection(("127.0.0.1", farm.port), timeout=15)
            sockets.enter_context(sock)
            sock.sendall(first_words)
            return sock

        yield make


def assert_good_client_is_served(farm: Farm, server: Process) -> None:
    """A client joins and runs all tasks, in about the time that this takes by itself."""
    begin = time.monotonic()
    client = farm.start_client()

    assert [0, 0] == [server.wait(8), client.wait()]
    assert TASKS == len(farm.read("ran"))
    assert time.monotonic() - begin < 5


GREETINGS = {
    "silence": b"",
    "half a word": b"hyper",
    "preamble and silence": PREAMBLE,
    "preamble and noise": PREAMBLE + os.urandom(10_000),
    "preamble and a length of 4 GB": PREAMBLE + b"\xff\xff\xff\xff" + b"x" * 1000,
    "a length of 4 GB": b"\xff\xff\xff\xff" + b"x" * 1000,
    "noise": os.urandom(100_000),
    "a web browser": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a manager of the standard library": struct.pack("!i", 11) + b"#CHALLENGE#",
    "a pickle": pickle.dumps(os.getpid),
    "a line without end": b"x" * 1_000_000,
}


@pytest.mark.parametrize(
    "kinds",
    [list(GREETINGS), *(rarely([kind]) for kind in GREETINGS)],
    ids=lambda kinds: kinds[0] if len(kinds) == 1 else "all kinds",
)
def test_strangers_do_not_keep_a_good_client_waiting(farm, server, connect, kinds):
    """More than forty of them at once, whatever they say first."""
    for n in range(44):
        with contextlib.suppress(ConnectionError):
            connect(GREETINGS[kinds[n % len(kinds)]])

    assert_good_client_is_served(farm, server)
    assert "Traceback" not in server.err


def test_200_half_open_connections_do_not_lock_a_good_client_out(farm, server, connect):
    """They are there first, they stay, and new ones keep coming while the client runs tasks."""
    for n in range(200):
        connect(PREAMBLE if n % 2 else b"")
    over = threading.Event()

    def keep_coming() -> None:
        while not over.wait(0.02):
            with contextlib.suppress(OSError):
                connect(b"hyper")

    comer = threading.Thread(target=keep_coming)
    comer.start()
    try:
        assert_good_client_is_served(farm, server)
    finally:
        over.set()
        comer.join()


def test_strangers_cost_the_server_no_memory(farm, server, connect):
    """A megabyte each from fifty of them: the server stays as small as it was."""
    before = psutil.Process(server.pid).memory_info().rss

    for _ in range(50):
        with contextlib.suppress(ConnectionError):
            connect(PREAMBLE + b"\xff\xff\xff\xff" + b"x" * 1_000_000)

    grown = psutil.Process(server.pid).memory_info().rss - before
    assert grown < 20 * 2**20
    assert_good_client_is_served(farm, server)


@contextlib.contextmanager
def flood(connect, words: bytes, a_second: int) -> Iterator[None]:
    """So many strangers a second, each of which says this and nothing more."""
    over = threading.Event()

    def keep_coming() -> None:
        while not over.wait(1 / a_second):
            with contextlib.suppress(OSError):
                connect(words)

    comer = threading.Thread(target=keep_coming)
    comer.start()
    try:
        yield
    finally:
        over.set()
        comer.join()


@pytest.mark.parametrize(
    ("words", "a_second", "delay"),
    [
        (b"", 300, 0.025),
        rarely(b"", 100, 0.1),
        rarely(b"", 300, 0.1),
        rarely(PREAMBLE, 100, 0.025),
    ],
    ids=lambda value: {b"": "silent", PREAMBLE: "greeting"}.get(value, str(value)),
)
def test_a_flood_of_strangers_keeps_no_client_out(farm, relay_to, words, a_second, delay):
    """A client far away joins, loses its connection and returns while it lasts."""
    server = farm.start_server(
        ["echo >> begun; until test -e go; do sleep 0.02; done; echo >> ran"] * 4
    )
    relay = relay_to(server.port, delay)
    strangers: deque[socket.socket] = deque()

    def connect(first_words: bytes) -> None:
        strangers.append(socket.create_connection(("127.0.0.1", farm.port), timeout=15))
        strangers[-1].sendall(first_words)
        if len(strangers) > 500:
            strangers.popleft().close()

    with flood(connect, words, a_second):
        begin = time.monotonic()
        client = farm.start_client("-H", "127.0.0.1", "-N", 4, port=relay.port)
        client.expect("joined the server", 20)
        joined = time.monotonic() - begin
        farm.wait_for_lines("begun", 4)
        relay.cut()
        client.expect("reconnected", 20)
        (farm.folder / "go").touch()

        assert [0, 0] == [server.wait(20), client.wait()]
    for sock in strangers:
        sock.close()

    assert 4 == len(farm.read("ran"))
    assert joined < 10


@pytest.mark.campaign
def test_strangers_that_take_all_descriptors_do_not_end_the_accepting(farm):
    """With 64 descriptors and 200 strangers: they give way, oldest first, to a good client."""
    path = farm.write_lines(["echo >> ran"] * TASKS)
    server = farm.spawn_shell(f"ulimit -Hn 64; exec $HYPERSHELL server {path.name} -p 0")
    farm.port = server.port

    with contextlib.ExitStack() as sockets:
        for _ in range(200):
            sock = socket.create_connection(("127.0.0.1", farm.port), timeout=15)
            sockets.enter_context(sock)
        busy = psutil.Process(server.pid).cpu_percent(1.0)
        client = farm.start_client()

        assert [0, 0] == [server.wait(30), client.wait()]
    assert busy < 50
    assert TASKS == len(farm.read("ran"))
    assert "Traceback" not in server.err


@pytest.mark.campaign
@pytest.mark.parametrize("peer", ["silent", "slow"])
def test_a_peer_that_does_not_get_on_is_hung_up_on(farm, server, connect, peer):
    """After ten seconds in all, even if a byte comes every half second."""
    sock = connect()
    sock.settimeout(0.5)
    begin = time.monotonic()

    def hung_up() -> bool:
        with contextlib.suppress(TimeoutError):
            if peer == "slow":
                sock.sendall(b"h")
            return sock.recv(100) == b""
        return False

    until(lambda: closed(hung_up), 14, "the server hangs up")

    assert 8 < time.monotonic() - begin < 14
    assert_good_client_is_served(farm, server)


def closed(look) -> bool:
    """Whether a look finds the connection closed, in whatever way."""
    try:
        return look()
    except ConnectionError:
        return True


# Peers that hold the key.


@pytest.fixture
def insider(farm: Farm, server: Process) -> Iterator[Connection]:
    """An admitted connection, as a client has it."""
    secret = plane_secret(farm.environment["HYPERSHELL_AUTH"], WORKER)
    connection = dial(("127.0.0.1", farm.port), secret)
    connection.set_timeout(10)
    connection.send((None, "accept_connection", ("test",), {}))
    assert ["#RETURN", None] == connection.recv()
    yield connection
    connection.close()


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def test_a_pickle_from_a_client_with_the_key_is_refused(farm, server, insider):
    """Nothing is unpickled: the peer is hung up on, and the server goes on."""
    bomb = pickle.dumps(Bomb(str(farm.folder / "exploded")))

    insider.send_bytes(bomb)
    with contextlib.suppress(EOFError, OSError):
        insider.recv()

    assert_good_client_is_served(farm, server)
    assert not (farm.folder / "exploded").exists()


FORBIDDEN = [
    "shutdown", "create", "debug_info", "number_of_objects", "dummy", "get_methods", "incref",
    "decref", "accept_connection", "__init__", "__class__", "_roster", "stop", "#GETVALUE", "",
]  # fmt: skip


def test_a_worker_calls_no_verb_outside_its_list(farm, server, insider):
    """Not one that managers have by habit, and no attribute."""
    calls = [[ident, verb, [], {}] for ident in ("farm", "0", None) for verb in FORBIDDEN]

    answers = []
    for call in calls:
        insider.send(call)
        answers.append(insider.recv())

    assert {"#ERROR"} == {kind for kind, _ in answers}
    assert all(isinstance(value, CallRefused) for _, value in answers)
    assert_good_client_is_served(farm, server)


def test_a_length_of_4_gb_from_a_client_with_the_key_is_refused(farm, server, insider):
    """It is hung up on before anything is read."""
    before = psutil.Process(server.pid).memory_info().rss

    with contextlib.suppress(OSError):  # it may hang up before all of it is sent
        insider.send_raw(b"\xff\xff\xff\xff" + b"x" * 100_000)
    with pytest.raises((EOFError, OSError)):
        insider.recv()

    assert psutil.Process(server.pid).memory_info().rss - before < 5 * 2**20
    assert_good_client_is_served(farm, server)


def test_nonsense_from_a_client_with_the_key_changes_nothing(farm, server, insider):
    """Wrong arguments are errors to the caller; the run goes on to its end."""
    calls = [
        ["farm", "join", [], {}],
        ["farm", "join", [["host", 1, -5, "", []]], {}],
        ["farm", "exchange", ["nobody", 1, [[1, 1, 0]], 1, 0.0], {}],
        ["farm", "exchange", ["nobody", 1, [], 10**9, float("nan")], {}],
        ["farm", "leave", [1, 2], {}],
        ["farm", "join", [1], {"packed": 2}],
    ]

    answers = []
    for call in calls:
        insider.send(call)
        answers.append(insider.recv()[0])

    assert ["#ERROR"] * 3 == [answers[n] for n in (0, 1, 5)]
    stays(lambda: server.is_running, 0.2, "the server is running")
    assert_good_client_is_served(farm, server)
    assert "Traceback" not in server.err


def empty_lists(length: int) -> bytes:
    """A frame of so many bytes that are lists with nothing in them."""
    return (
        length.to_bytes(4, "big")
        + b"\xdd"
        + (length - 5).to_bytes(4, "big")
        + b"\x90" * (length - 5)
    )


HOSTILE = {
    "empty lists": lambda: empty_lists(16 * 2**20),
    "short frames of empty lists": lambda: empty_lists(65_000) * 20,
    "a frame that withholds its last byte": lambda: empty_lists(16 * 2**20)[:-1],
}


@pytest.mark.campaign
@pytest.mark.parametrize("kinds", [list(HOSTILE), *(rarely([kind]) for kind in HOSTILE)])
def test_peers_with_the_key_neither_freeze_the_server_nor_take_its_memory(farm, kinds):
    """Twenty of them, again and again, while a client with a lease of 10 s runs tasks."""
    lines = [f"sleep 0.1; echo {n} >> ran" for n in range(60)]
    server = farm.start_server(lines, "--lease", 10, "--grace", 1)
    secret = plane_secret(farm.environment["HYPERSHELL_AUTH"], WORKER)
    over, largest = threading.Event(), [0]

    def attack(words: bytes) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, EOFError, WireError, NoServer):
                connection = dial(("127.0.0.1", farm.port), secret)
                with contextlib.closing(connection):
                    connection.set_timeout(30)
                    connection.send((None, "accept_connection", ("test",), {}))
                    connection.recv()
                    connection.send_raw(words)
                    while not over.is_set():  # until it is hung up on
                        if connection.poll(0.5):
                            connection.recv()

    def measure() -> None:
        process = psutil.Process(server.pid)
        with contextlib.suppress(psutil.Error):
            while not over.wait(0.05):
                largest[0] = max(largest[0], process.memory_info().rss)

    words = [HOSTILE[kinds[n % len(kinds)]]() for n in range(20)]
    peers = [threading.Thread(target=attack, args=(each,)) for each in words]
    watcher = threading.Thread(target=measure)
    client = farm.start_client("-N", 2)
    client.expect("joined the server")
    before = psutil.Process(server.pid).memory_info().rss
    for thread in [*peers, watcher]:
        thread.start()
    try:
        assert [0, 0] == [server.wait(60), client.wait(20)]
    finally:
        over.set()
        for thread in [*peers, watcher]:
            thread.join()

    assert sorted(map(str, range(60))) == sorted(farm.read("ran"))
    assert "lost contact" not in server.err
    assert "Traceback" not in server.err
    assert largest[0] - before < 300 * 2**20
