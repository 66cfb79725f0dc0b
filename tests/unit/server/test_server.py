"""A whole server in this process, and clients that the test plays itself."""

import os
import pickle
import signal
import socket
import threading
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

from hypershell.access.keys import CLIENT, WORKER
from hypershell.core.ending import Ending
from hypershell.core.errors import ClientsEnded, InputDamaged
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.server import server as server_module
from hypershell.server.input.lines import LineReader
from hypershell.server.options import ServerOptions
from hypershell.server.reports.sink import LineSink
from hypershell.server.server import Server
from hypershell.wire.client_plane import ClientPlaneProxy
from hypershell.wire.refusal import CallRefused, ErrorKind
from hypershell.wire.worker_messages import Answer, Hello, Phase
from hypershell.wire.worker_plane import WorkerProxy
from tests.helpers.fakes import Call, commands, ended, failed, succeeded
from tests.helpers.waiting import until

SECRETS = {WORKER: b"w" * 32, CLIENT: b"c" * 32}


class Player:
    """A client whose every call the test makes."""

    def __init__(self, port: int) -> None:
        self.proxy = WorkerProxy("127.0.0.1", port, SECRETS[WORKER])
        self.welcome = self.proxy.join(Hello("node1", 1, 2))

    def exchange(self, *outcomes: Outcome, want: int = 2, wait: float = 5.0) -> Answer:
        """One call."""
        client, session = self.welcome.client_id, self.welcome.session
        return self.proxy.exchange(client, session, list(outcomes), want, wait)


class Run:
    """A server that runs in a thread, and the end of a pipe that it reads."""

    def __init__(self, folder, lines: bytes | None, **options: Any) -> None:
        read_end, self.write_end = os.pipe()
        self.failed_path = folder / "failed"
        sink = os.open(self.failed_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        socks = {plane: socket.create_server(("127.0.0.1", 0)) for plane in SECRETS}
        self.ports = {plane: sock.getsockname()[1] for plane, sock in socks.items()}
        self.server = Server(
            ServerOptions(**options),
            LineReader(read_end, "-"),
            LineSink(sink, "failed", ours=True),
            {plane: (sock, SECRETS[plane]) for plane, sock in socks.items()},
            {"uid": "k3x9ab"},
        )
        if lines is not None:
            os.write(self.write_end, lines)
            os.close(self.write_end)
        started = threading.Event()
        self.ended = Call(self.server.run, started.set)
        started.wait(5.0)

    def join(self) -> Player:
        """A client."""
        return Player(self.ports[WORKER])

    def control(self) -> ClientPlaneProxy:
        """One who asks."""
        return ClientPlaneProxy("127.0.0.1", self.ports[CLIENT], SECRETS[CLIENT])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Start a server; None for lines keeps its input open."""
    monkeypatch.setattr(server_module, "_NOTIFY_SECONDS", 0.2)
    runs: list[Run] = []

    def start(lines: bytes | None, **options: Any) -> Run:
        runs.append(Run(tmp_path, lines, **options))
        return runs[-1]

    yield start
    for started in runs:
        if not started.ended.is_over():
            started.server.give_up(ClientsEnded(status=1))
            started.ended.is_over(10.0)


def test_a_run_ends_when_all_of_its_tasks_are_final(run):
    """And its client is told so."""
    made = run(b"a\n# no\n\nb\n")
    player = made.join()
    claims = player.exchange().claims
    claims += player.exchange(want=2, wait=0).claims

    answer = player.exchange(*map(succeeded, claims), wait=5.0)
    if answer.phase is not Phase.OVER:
        answer = player.exchange()

    assert Phase.OVER is answer.phase
    result = made.ended.result()
    assert (2, 2, 0) == (result.counts.succeeded, result.counts.total, result.unwritten)


def test_a_run_without_tasks_ends_at_once(run):
    """Nobody need have joined."""
    made = run(b"# nothing\n")

    assert 0 == made.ended.result().counts.total


def test_failed_lines_are_written_as_they_fail(run):
    """While the run goes on."""
    made = run(None)
    player = made.join()
    os.write(made.write_end, b"false  # mine\n")
    (claim,) = player.exchange().claims

    player.exchange(failed(claim), wait=0)

    until(made.failed_path.read_bytes, 5.0, "the line is there")
    assert b"false  # mine\n" == made.failed_path.read_bytes()
    os.close(made.write_end)
    assert 1 == made.ended.result().counts.failed


def test_a_line_that_comes_late_is_handed_out_at_once(run):
    """To the client that is parked."""
    made = run(None)
    parked = Call(made.join().exchange)
    assert not parked.is_over(0.05)

    os.write(made.write_end, b"a\n")

    assert [b"a"] == commands(parked.result())
    made.server.interrupt(signal.SIGTERM)
    os.close(made.write_end)


def test_a_first_interrupt_waits_for_what_runs(run):
    """Nothing new is handed out; what waits is named as unfinished."""
    made = run(b"a\nb\nc\n")
    player = made.join()
    (claim,) = player.exchange(want=1).claims

    made.server.interrupt(signal.SIGINT)
    answer = player.exchange(want=1)
    assert (Phase.DRAINING, []) == (answer.phase, answer.claims)
    player.exchange(succeeded(claim), want=1)

    result = made.ended.result()
    assert (signal.SIGINT, 1) == (result.signal, result.counts.succeeded)
    assert (2, 3) == result.unfinished_numbers


def test_a_second_interrupt_stops_what_runs(run):
    """It is recorded as interrupted."""
    made = run(b"a\n")
    player = made.join()
    (claim,) = player.exchange(want=1).claims
    made.server.interrupt(signal.SIGINT)
    player.exchange(want=1)

    made.server.interrupt(signal.SIGINT)
    assert Phase.STOPPING is player.exchange(want=1).phase
    player.exchange(ended(claim, Ending.INTERRUPTED))

    result = made.ended.result()
    assert (signal.SIGINT, 1) == (result.signal, result.counts.interrupted)
    assert (1,) == result.unfinished_numbers


def test_a_client_that_does_not_answer_holds_up_the_end_for_the_grace_alone(run):
    """What it runs is named as unfinished."""
    made = run(b"a\n", grace=0.1)
    made.join().exchange(want=1)

    made.server.interrupt(signal.SIGTERM)

    result = made.ended.result(10.0)
    assert (signal.SIGTERM, 1) == (result.signal, result.counts.sent)
    assert (1,) == result.unfinished_numbers


def test_the_tasks_of_a_silent_client_go_to_another(run):
    """After its lease; as the next attempt."""
    made = run(b"a\n", lease=0.5, grace=0.1)
    made.join().exchange(want=1)
    player = Call(made.join).result()  # a thread of its own has a connection of its own

    claims: list = []
    while not claims:
        claims = player.exchange(want=1, wait=0.2).claims

    assert [(b"a", 2, 2)] == [(c.command, c.lease, c.attempt) for c in claims]
    player.exchange(succeeded(claims[0]), wait=0)
    assert 0 == made.ended.result().counts.retried


def test_a_damaged_line_ends_the_input_and_not_what_was_read(run):
    """The run says so in the end."""
    made = run(b"a\nb\0\nc\n")
    player = made.join()
    (claim,) = player.exchange().claims

    player.exchange(succeeded(claim))

    result = made.ended.result()
    assert (1, 1) == (result.counts.succeeded, result.counts.total)
    assert isinstance(result.error, InputDamaged)


def test_a_loop_that_fails_ends_the_run(run, monkeypatch, caplog):
    """With its error, and not in silence."""
    made = run(b"a\n", grace=0.1)
    player = made.join()
    (claim,) = player.exchange().claims

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the store is broken")

    monkeypatch.setattr(made.server._store, "record", fail)
    giving = Call(player.exchange, succeeded(claim))

    result = made.ended.result(15.0)
    assert "the store is broken" == str(result.failure)
    assert "the receiver failed" in caplog.text
    with pytest.raises((OSError, EOFError, CallRefused)):
        giving.result()


def test_retries_go_behind_what_was_read(run):
    """An endless input does not starve them, nor they it."""
    made = run(b"bad\na\nb\n", policy=Policy(max_retries=1))
    player = made.join()
    (bad,) = player.exchange(want=1).claims

    order = commands(player.exchange(failed(bad), want=3))
    while len(order) < 3:
        order += commands(player.exchange(want=3))

    assert [b"a", b"b", b"bad"] == order
    made.server.interrupt(signal.SIGTERM)
    player.exchange()


def test_lines_that_are_submitted_run_beside_those_that_are_read(run):
    """And are counted with them."""
    made = run(None)
    player = made.join()

    ids = made.control().submit([b"a"])

    claims = player.exchange().claims
    assert ids == [claim.task_id for claim in claims]
    os.close(made.write_end)
    player.exchange(*map(succeeded, claims))
    assert 1 == made.ended.result().counts.succeeded


@pytest.mark.parametrize("lines", [[b"# no"], [b""], [b"a\nb"], [b"a\0"], ["a"], b"a", [None]])
def test_what_is_no_line_is_not_submitted(run, lines):
    """None of the lines is, then."""
    made = run(None)
    control = made.control()

    with pytest.raises(CallRefused, match="line") as refused:
        control._call("submit", lines)

    assert ErrorKind.BAD_REQUEST is refused.value.kind
    assert 0 == sum(control.info()["tasks"].values())
    control.hang_up()


def test_a_peer_may_ask_and_stop(run):
    """What the server is, and that it ends."""
    made = run(None)
    player = made.join()
    control = made.control()

    facts = control.info()
    control.stop(drain=False)
    player.exchange()

    assert ("k3x9ab", [player.welcome.client_id]) == (
        facts["uid"],
        [client["id"] for client in facts["clients"]],
    )
    assert made.ended.result(10.0).stopped
    control.hang_up()


def test_a_worker_key_opens_nothing_on_the_client_plane(run):
    """Whoever pulls tasks cannot submit, ask, or stop."""
    made = run(None)

    with pytest.raises(Exception, match="refused this key"):
        ClientPlaneProxy("127.0.0.1", made.ports[CLIENT], SECRETS[WORKER]).stop(drain=False)

    assert not made.ended.is_over()


def test_no_verb_of_one_plane_is_on_the_other(run):
    """Also for one who holds its key."""
    made = run(None)
    player = made.join()

    for verb in ("submit", "info", "stop", "shutdown", "create"):
        with pytest.raises(CallRefused, match="unknown request"):
            player.proxy._call(verb)

    assert not made.ended.is_over()


def test_a_whole_run_makes_and_reads_no_pickle(run, monkeypatch):
    """On neither side, and whatever is said."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was pickled")

    for place in (pickle, ForkingPickler):
        for name in ("loads", "dumps"):
            monkeypatch.setattr(place, name, never)
    made = run(b"a\nb\n")
    player = made.join()
    claims = player.exchange().claims
    claims += player.exchange(wait=0).claims

    player.exchange(*map(failed, claims))

    assert 2 == made.ended.result().counts.failed
    assert b"a\nb\n" == made.failed_path.read_bytes()
