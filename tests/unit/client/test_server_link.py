"""The link: calls of two threads, and how they come back when the connection breaks."""

import os
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hypershell.access.keys import WORKER
from hypershell.client.call_errors import BROKEN
from hypershell.client.fetcher import Fetcher
from hypershell.client.found_server import greeting
from hypershell.client.returner import Returner
from hypershell.client.server_link import LinkClosed, ServerLink
from hypershell.client.task_buffer import TaskBuffer
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.unwritten import Unwritten
from hypershell.runtime import clock
from hypershell.wire.plane import Plane
from hypershell.wire.worker_messages import Answer, Hello, Phase
from hypershell.wire.worker_plane import VERBS, WORKER_SERVICE, Earned, WorkerProxy
from tests.helpers.fakes import Call, ServerParts, commands, succeeded
from tests.helpers.waiting import until

SECRET = b"s" * 32


class Served:
    """The rooms of a server behind a real endpoint, and a link to it."""

    def __init__(self) -> None:
        self.parts = ServerParts()
        self.secret = SECRET
        self.held: tuple[tuple[int, int], ...] = ()
        self.returns: list[tuple[str, bool]] = []
        self.hung_up = 0
        self.park_seconds = 10.0
        self.to_hand_in: list[Earned] = []
        self.taken: list[int] = []
        self.welcome = None
        self.port = 0
        self.open_door()
        self.link = ServerLink(lambda: ("127.0.0.1", self.port, self.secret))
        self.answers: list[Answer] = []

    def open_door(self) -> None:
        """Listen, on the same port if there was one."""
        sock = socket.create_server(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        objects = {WORKER_SERVICE: (self.parts.worker_service, VERBS)}
        self.door = Plane(sock, WORKER, SECRET, objects).get_server()
        self.door.start()

    def greet(self) -> Hello:
        """As a client does."""
        hello = greeting("node1", 1)
        if self.welcome is None:
            return hello
        return Hello(hello.host, hello.pid, 1, self.welcome.client_id, self.held)

    def server_hung_up(self) -> None:
        """Count it."""
        self.hung_up += 1

    def returned(self, welcome, still_known: bool) -> None:
        """As a client does."""
        self.welcome = welcome
        self.returns.append((welcome.client_id, still_known))

    def ready(self) -> None:
        """As a client does."""

    def earned(self) -> Earned | None:
        """As a client does."""
        return self.to_hand_in[0] if self.to_hand_in else None

    def handed_in(self, earned: Earned, taken: int) -> None:
        """As a client does."""
        self.to_hand_in.remove(earned)
        self.taken.append(taken)

    def handle(self, answer: Answer) -> None:
        """Note it."""
        self.answers.append(answer)

    def call_seconds(self) -> float:
        """How long the fetcher's calls are parked."""
        return self.park_seconds

    def reconnect(self) -> None:
        """After a call that failed, as the fetcher and the returner do."""
        self.link.reconnect(self)

    def join(self):
        """Join for the first time."""
        self.welcome = self.link.join(self.greet())
        return self.welcome

    def cut(self) -> None:
        """Break all connections; the door goes on."""
        for connection in list(self.door._peers):
            connection.abort()

    def close(self) -> None:
        """End everything."""
        self.link.close()
        self.parts.scheduled.wake_all()
        self.parts.finished.close()
        self.door.stop(0.0)


@pytest.fixture
def served():
    """A server and a link to it."""
    served = Served()
    yield served
    served.close()


def exchange(
    link: ServerLink, wait: float = 0.0, want: int = -1, outcomes=()
) -> list[Answer] | None:
    """One call: what was answered, None if it broke."""
    answers: list[Answer] = []
    return answers if link.exchange(list(outcomes), want, wait, answers.append) else None


def test_a_call_gives_and_takes(served):
    """As the verb of the plane does."""
    served.join()
    served.parts.add(b"a")
    served.parts.scheduler.dispatch()

    (answer,) = exchange(served.link, want=1)

    assert [b"a"] == commands(answer)


def test_the_lease_counts_from_before_the_call(served):
    """The server has heard the client later than that, never earlier."""
    served.join()
    before = served.link.heard_at

    exchange(served.link)

    assert served.link.heard_at > before


def test_both_threads_have_a_connection_of_their_own(served):
    """One may be parked while the other gives."""
    served.join()
    parked = Call(exchange, served.link, 10.0, 1)
    until(lambda: served.parts.parked() == 1, 5.0, "the call is parked")

    assert exchange(served.link) is not None
    assert not parked.is_over()


def test_a_call_that_breaks_breaks_the_other(served):
    """Both are of one session."""
    served.join()
    parked = Call(exchange, served.link, 10.0, 1)
    until(lambda: served.parts.parked() == 1, 5.0, "the call is parked")

    served.cut()

    assert parked.result() is None
    assert exchange(served.link) is None


def test_one_of_two_threads_comes_back_for_both(served):
    """In one new session, as the same client."""
    welcome = served.join()
    exchange(served.link)
    served.cut()
    assert exchange(served.link) is None

    calls = [Call(served.reconnect) for _ in range(2)]
    for call in calls:
        call.result()

    assert [(welcome.client_id, True)] == served.returns
    assert exchange(served.link) is not None


def test_a_connection_of_a_thread_that_did_not_call_breaks_nothing_later(served):
    """It was to a server that is gone: its thread makes another, in the session that there is."""
    served.join()
    with ThreadPoolExecutor(1) as other:
        other.submit(exchange, served.link).result()
        exchange(served.link)
        served.cut()
        assert exchange(served.link) is None
        served.reconnect()

        assert other.submit(exchange, served.link).result() is not None

    assert 1 == len(served.returns)


def test_a_server_that_has_gone_is_waited_for(served):
    """The client comes back as soon as it listens again."""
    welcome = served.join()
    exchange(served.link)
    served.door.stop(0.0)
    assert exchange(served.link) is None
    coming = Call(served.reconnect)
    assert not coming.is_over(0.1)

    served.open_door()
    coming.result()

    assert [(welcome.client_id, True)] == served.returns
    assert 1 == served.hung_up


def test_a_server_that_does_not_know_the_client_is_joined_again(served):
    """By which the client learns that what it holds is not its own any more."""
    welcome = served.join()
    served.parts.leave(welcome, "it was given up")
    assert exchange(served.link) is None

    served.reconnect()

    ((client_id, still_known),) = served.returns
    assert client_id != welcome.client_id
    assert not still_known


def test_a_server_that_moved_is_found_where_it_is(served):
    """It is looked for each time."""
    served.join()
    exchange(served.link)
    served.door.stop(0.0)
    served.port = 0
    served.open_door()
    assert exchange(served.link) is None

    served.reconnect()

    assert served.link.port == served.port
    assert exchange(served.link) is not None


def test_another_server_at_the_port_is_not_ours_and_ours_is_waited_for(served):
    """Another key is no reason for a client that had joined to end: it looks on."""
    served.join()
    exchange(served.link)
    served.cut()
    assert exchange(served.link) is None
    served.secret = b"t" * 32

    returning = Call(served.reconnect)
    until(lambda: "refused this key" in served.link.trouble, 5.0, "it was refused")
    assert not returning.is_over(0.1)
    served.secret = SECRET

    returning.result()
    assert exchange(served.link) is not None
    assert "" == served.link.trouble


def test_what_was_earned_before_is_handed_in_before_anything_is_asked_for(served):
    """All of it, whether the server still wants it or not."""
    served.join()
    former = served.welcome
    exchange(served.link)
    served.parts.registry.give_up(former.client_id)
    served.cut()
    assert exchange(served.link) is None
    secrets = ["wrong", former.secret]
    served.to_hand_in = [
        Earned(former.client_id, secret, [Outcome(number, 1, Ending.EXITED)])
        for number, secret in enumerate(secrets, start=1)
    ]

    served.reconnect()

    assert [] == served.to_hand_in
    assert [0, 0] == served.taken
    assert exchange(served.link) is not None


def test_an_answer_that_comes_when_the_lease_is_over_is_not_the_last_word(served, monkeypatch):
    """The server stood still: the lease counts from a call that it answered in time."""
    later = [0.0]
    boottime, join = clock.boottime, served.parts.worker_service.join
    monkeypatch.setattr(clock, "boottime", lambda: boottime() + later[0])

    def answer_late(packed):
        later[0] += 100.0
        return join(packed)

    monkeypatch.setattr(served.parts.worker_service, "join", answer_late)

    served.join()
    assert clock.boottime() - served.link.heard_at < 10.0

    exchange(served.link)
    served.cut()
    assert exchange(served.link) is None
    served.reconnect()
    assert clock.boottime() - served.link.heard_at < 10.0


def test_to_close_ends_a_parked_call(served):
    """At once, and no other can be made."""
    served.join()
    parked = Call(exchange, served.link, 10.0, 1)
    until(lambda: served.parts.parked() == 1, 5.0, "the call is parked")

    served.link.close()

    assert parked.result() is None
    with pytest.raises(LinkClosed):
        exchange(served.link)
    with pytest.raises(LinkClosed):
        served.reconnect()


def test_to_close_ends_a_wait_for_the_server(served):
    """A thread that tries to come back is let go."""
    served.join()
    exchange(served.link)
    served.door.stop(0.0)
    assert exchange(served.link) is None
    coming = Call(served.reconnect)
    assert not coming.is_over(0.05)

    served.link.close()

    with pytest.raises(LinkClosed):
        coming.result()


def test_nothing_is_called_after_the_end(served):
    """The server hangs up once all know that all is done."""
    served.join()
    served.parts.scheduled.set_phase(Phase.OVER)

    (answer,) = exchange(served.link)

    assert Phase.OVER is answer.phase
    with pytest.raises(LinkClosed):
        exchange(served.link)


def test_the_server_hears_a_leave_once_there_is_something_to_leave(served):
    """And is harmless before."""
    served.link.leave("early", dead=False)
    served.join()

    served.link.leave("done", dead=False)

    assert [] == served.parts.registry.clients()


def test_a_leave_that_nobody_hears_is_no_error(served):
    """The supervisor, or the lease, comes after it."""
    served.join()
    served.door.stop(0.0)

    served.link.leave("done", dead=False)


def test_a_leave_at_which_the_server_fails_is_no_error(served, monkeypatch):
    """The client has nothing else to say."""
    served.join()
    monkeypatch.delattr(served.parts.worker_service, "_registry")

    served.link.leave("done", dead=False)


def test_a_beat_tells_how_busy_the_machine_is(served):
    """And that the client lives."""
    served.join()

    assert served.link.beat(1.5, 30.0)

    (client,) = served.parts.registry.clients()
    assert (1.5, 30.0) == (client.load, client.memory_percent)


def test_a_beat_over_a_broken_connection_breaks_the_calls(served):
    """As any other call does."""
    served.join()
    exchange(served.link)
    served.cut()

    assert not served.link.beat(1.5, 30.0)


@pytest.mark.parametrize("call", ["beat", "unwritten"])
def test_a_server_that_hangs_up_at_what_it_is_told_may_have_been_signalled(served, call):
    """Tasks that ended by the same signal were interrupted."""
    served.join()
    exchange(served.link)
    served.door.stop(0.0)

    if call == "beat":
        assert not served.link.beat(1.5, 30.0)
    else:
        assert not served.link.tell_unwritten(Unwritten(1, 2, "no space left on device"))
    served.open_door()
    served.reconnect()

    assert 1 == served.hung_up


def test_a_server_that_is_not_there_cannot_be_joined(served):
    """It may be in a moment: that is distinguished from what waiting does not mend."""
    served.door.stop(0.0)

    with pytest.raises(BROKEN):
        served.link.join(served.greet())


def test_a_fetcher_parks_and_hands_on_what_comes(served):
    """A pass is one call."""
    served.join()
    fetcher = Fetcher(served.link, served)
    (client,) = served.parts.registry.clients()
    client.want = 1
    passing = Call(fetcher.one_pass)
    until(lambda: served.parts.parked() == 1, 5.0, "the call is parked")

    served.parts.add(b"a")
    served.parts.scheduler.dispatch()

    assert passing.result()
    assert [[b"a"]] == [commands(answer) for answer in served.answers]


def test_a_fetcher_comes_back_in_the_same_pass(served):
    """And ends when the link is closed."""
    served.join()
    exchange(served.link)
    served.park_seconds = 0.0
    fetcher = Fetcher(served.link, served)
    served.cut()

    assert fetcher.one_pass()
    assert 1 == len(served.returns)
    served.link.close()
    assert not fetcher.one_pass()


def test_a_returner_gives_what_has_ended_until_it_is_accepted(served):
    """It is kept while the connection is broken, and counts once."""
    parts = served.parts
    welcome = served.join()
    parts.add(b"a")
    parts.scheduler.dispatch()
    buffer = TaskBuffer(1, lambda: None, lambda all_given: None)
    returner = Returner(served.link, served, buffer)
    returner.one_pass()
    buffer.put_claims(served.answers[-1].claims)
    claim = buffer.start_next()
    buffer.put_outcomes([succeeded(claim)])
    served.held = buffer.held()
    served.cut()

    assert returner.one_pass()
    held = buffer.held()
    giving = Call(returner.one_pass)
    parts.receive()

    assert giving.result()
    assert ((claim.task_id, claim.lease, True),) == held
    assert () == buffer.held()
    assert 1 == parts.store.counts().succeeded
    assert [(welcome.client_id, True)] == served.returns


def test_what_the_client_raises_while_it_handles_an_answer_breaks_nothing(served):
    """A wake pipe that is broken is no broken connection: nobody joins again because of it."""
    served.join()
    parked = Call(exchange, served.link, 10.0, 1)
    until(lambda: served.parts.parked() == 1, 5.0, "the call is parked")

    def handle(answer: Answer) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        served.link.exchange([], -1, 0.0, handle)

    assert exchange(served.link) is not None
    assert not parked.is_over()


def test_a_machine_without_descriptors_has_lost_no_connection(served, caplog):
    """A thread that cannot make its own tries again; the call of the other is not disturbed."""
    served.join()
    parked = Call(exchange, served.link, 10.0, 1)
    until(lambda: served.parts.parked() == 1, 5.0, "the call is parked")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)  # no number below this one is free
    os.close(lowest)

    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        during = exchange(served.link)
        served.reconnect()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert during is None
    assert exchange(served.link) is not None
    assert not parked.is_over()
    assert [] == served.returns
    assert "broke" not in caplog.text


def test_a_call_of_a_session_that_is_over_does_not_break_the_next(served, monkeypatch):
    """Its connection failed while the other thread joined again."""
    served.join()
    exchange(served.link)
    dialing, may_fail = threading.Event(), threading.Event()

    def connection(self):
        dialing.set()
        assert may_fail.wait(5.0)
        raise ConnectionResetError(104, "Connection reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(WorkerProxy, "connection", connection)
        late = Call(exchange, served.link)
        assert dialing.wait(5.0)
    served.cut()
    assert exchange(served.link) is None
    served.reconnect()

    may_fail.set()

    assert late.result() is None
    assert exchange(served.link) is not None
    assert 1 == len(served.returns)


def test_no_call_begins_while_the_server_stands_still(served):
    """Nor a connection; the lease counts from when the server runs on, if it says so."""
    served.join()
    served.link.pause()
    call = Call(exchange, served.link)

    assert not call.is_over(0.2)
    later = served.link.heard_at + 100.0
    served.link.go_on(later)

    assert call.result() is not None
    assert later == served.link.heard_at


def test_a_connection_that_breaks_while_the_server_stands_still_is_made_again_afterwards(served):
    """Until then nobody knocks at its door."""
    served.join()
    exchange(served.link)
    parked = Call(exchange, served.link, 10.0)
    until(lambda: served.parts.scheduled.parked() == 1, 5.0, "the call is parked")
    served.link.pause()
    served.cut()
    assert parked.result() is None

    back = Call(served.reconnect)

    assert not back.is_over(0.2)
    served.link.go_on()
    back.result()
    assert exchange(served.link) is not None
