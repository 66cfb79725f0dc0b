"""Joining a server that may not be there yet."""

import signal

import pytest

from hypershell.client.events import ClientEvent, SignalCame
from hypershell.client.joining import SignalledEarly, join
from hypershell.core.errors import KeyRefused, ServerSilent, ServerUnreachable
from hypershell.runtime import chance, clock
from hypershell.runtime.threads import Inbox
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
        self.pauses.append(timeout)
        self.now += timeout
        return super().get(0.0)


class Link:
    """A link to a server that is there after some attempts."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    def join(self, hello: Hello) -> Welcome:
        """See ServerLink."""
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


def test_what_listens_and_says_nothing_is_worth_less_patience(time):
    """It is probably no server of ours."""
    with pytest.raises(ServerSilent):
        join(Link(*[ServerSilent(**WHERE)] * 1000), HELLO, time, 60.0, 0.0)

    assert 9.0 <= time.now - 1000.0 <= 10.0


def test_a_server_with_another_key_is_not_waited_for(time):
    """Waiting does not mend it."""
    with pytest.raises(KeyRefused):
        join(Link(KeyRefused(**WHERE)), HELLO, time, 60.0, 0.0)


def test_a_signal_ends_the_wait(time):
    """With its number."""
    time.put(SignalCame(signal.SIGTERM))

    with pytest.raises(SignalledEarly) as caught:
        join(Link(), HELLO, time, 60.0, 0.0)

    assert signal.SIGTERM == caught.value.number
