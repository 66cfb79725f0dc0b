"""Joining a server that may not be there yet."""

import signal
import threading

import pytest

from hypershell.client.events import ClientEvent, SignalCame
from hypershell.client.joining import RunOver, SignalledEarly, join
from hypershell.core.errors import (
    HostLookupFailed,
    HostUnknown,
    HostUnsupported,
    HyperShellError,
    KeyRefused,
    NotOurServer,
    ServerSilent,
    ServerUnreachable,
)
from hypershell.runtime import chance, clock
from hypershell.runtime.threads import Inbox
from hypershell.wire.connection import DeadlinePassed
from hypershell.wire.refusal import CallRefused, ErrorKind
from hypershell.wire.worker_messages import Hello, Welcome

HELLO = Hello("node1", 1, 1)
WELCOME = Welcome("c1", 1, 30.0, 5.0)
WHERE = {"host": "node1", "port": 1234}


class Time(Inbox[ClientEvent]):
    """An inbox to which nothing comes: to wait on it is to let time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.pauses: list[float] = []

    def get(self, timeout: float | None = None) -> ClientEvent | None:
        """See Inbox."""
        if timeout is None:  # what is waited for is on its way
            return super().get(10.0)
        self.pauses.append(timeout)
        self.now += timeout
        return super().get(0.0)


class Link:
    """A link to a server that is there after some attempts."""

    host, port = "node1", 1234

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.patience: list[float] = []

    def join(self, hello: Hello, seconds: float) -> Welcome:
        """See ServerLink."""
        self.patience.append(seconds)
        if self.failures:
            raise self.failures.pop(0)
        return WELCOME


@pytest.fixture
def time(monkeypatch) -> Time:
    """Time that passes while the client waits."""
    time = Time()
    monkeypatch.setattr(clock, "monotonic", lambda: time.now)
    return time


def test_a_server_that_is_there_is_joined_after_the_delay(time):
    """Which is none, unless it was asked for."""
    assert WELCOME == join(Link(), HELLO, time, 60.0, 2.5)
    assert [2.5] == time.pauses


def test_a_negative_delay_is_a_random_one(time, monkeypatch):
    """Up to that."""
    monkeypatch.setattr(chance, "uniform", lambda low, high: (low + high) / 2)

    join(Link(), HELLO, time, 60.0, -10.0)

    assert [5.0] == time.pauses


def test_a_server_that_is_not_there_is_waited_for(time):
    """Often at first, and once a second later on."""
    unreachable = [ServerUnreachable(**WHERE, reason="refused")] * 90

    assert WELCOME == join(Link(*unreachable), HELLO, time, 60.0, 0.0)

    pauses = time.pauses[1:]
    assert sorted(pauses) == pauses
    assert 0.02 == pauses[0]
    assert 1.0 == pauses[-1]


def test_the_wait_for_a_server_is_bounded(time):
    """By what was asked for."""
    unreachable = [ServerUnreachable(**WHERE, reason="refused")] * 1000

    with pytest.raises(ServerUnreachable):
        join(Link(*unreachable), HELLO, time, 60.0, 0.0)

    assert 59.0 <= time.now - 1000.0 <= 60.0


PASSING = {
    "silent": ServerSilent(**WHERE),
    "refused": ServerUnreachable(**WHERE, reason="connection refused"),
    "name service away": HostLookupFailed(**WHERE, reason="temporary failure"),
    "stopped in the middle": DeadlinePassed("the peer did not answer in time"),
    "hung up": EOFError(),
    "its database stalls": CallRefused(ErrorKind.DATABASE_UNUSABLE, "the disk is full"),
    "ending": CallRefused(ErrorKind.ENDING, "the run is over"),
}
LASTING = [
    KeyRefused(**WHERE),
    HostUnknown(**WHERE),
    HostUnsupported(**WHERE, reason="no such addresses"),
    NotOurServer(**WHERE),
    CallRefused(ErrorKind.BAD_REQUEST, "not a greeting"),
]


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_whatever_may_pass_is_waited_for_as_long_as_the_user_said(time, error):
    """No guess of ours cuts it short, and each attempt may take what is left of it."""
    link = Link(*[error] * 100)

    assert WELCOME == join(link, HELLO, time, 300.0, 0.0)

    assert 300.0 == link.patience[0]
    assert sorted(link.patience, reverse=True) == link.patience


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_a_wait_that_is_over_ends_with_an_error_that_a_user_can_act_on(time, error):
    """None of the system's own, whatever the last attempt met."""
    with pytest.raises(HyperShellError) as caught:
        join(Link(*[error] * 1000), HELLO, time, 60.0, 0.0)

    assert 59.0 <= time.now - 1000.0 <= 60.0
    assert caught.value.exit_code in (3, 4)
    assert caught.value.advice


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_waiting_does_not_mend_is_not_waited_for(time, error):
    """The first attempt is the last."""
    with pytest.raises(HyperShellError):
        join(Link(error), HELLO, time, 60.0, 0.0)

    assert 1000.0 == time.now


def test_a_signal_ends_an_attempt_that_does_not_end(time):
    """A server that is stopped must not keep the client from ending."""

    class Stopped(Link):
        def join(self, hello: Hello, seconds: float) -> Welcome:
            time.put(SignalCame(signal.SIGTERM))
            threading.Event().wait(20.0)
            return WELCOME

    with pytest.raises(SignalledEarly):
        join(Stopped(), HELLO, time, 60.0, 0.0)


def test_a_signal_ends_the_wait(time):
    """With its number."""
    time.put(SignalCame(signal.SIGTERM))

    with pytest.raises(SignalledEarly) as caught:
        join(Link(), HELLO, time, 60.0, 0.0)

    assert signal.SIGTERM == caught.value.number


@pytest.mark.parametrize("is_last", [False, True])
def test_a_run_that_was_over_before_it_was_found_is_no_failure(time, is_last):
    """At once if it was there meanwhile, at the end of the wait if it was there shortly before."""
    link = Link(*[ServerUnreachable(**WHERE, reason="connection refused")] * 1000)

    with pytest.raises(RunOver):
        join(link, HELLO, time, 60.0, 0.0, lambda last: last or not is_last)

    assert is_last == (time.now - 1000.0 > 50)
