"""What a server says whose tasks wait while nobody is there to run them."""

import pytest

from hypershell.runtime import clock
from hypershell.server.loops.no_clients import NoClients
from hypershell.wire.worker_messages import Phase
from tests.helpers.fakes import ServerParts


@pytest.fixture
def passing(monkeypatch):
    """Time that passes when it is told to."""
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def let_pass(seconds: float) -> None:
        now[0] += seconds

    return let_pass


def watch(parts: ServerParts, passing, seconds: int) -> NoClients:
    """Look every five seconds, for so long."""
    watch = NoClients(parts.store, parts.registry, parts.scheduled)
    for _ in range(seconds // 5 + 1):
        watch.look()
        passing(5)
    return watch


def test_it_is_said_once_and_then_rarely(passing, caplog):
    """After a moment, in which clients may come; again after ten minutes, then every hour."""
    parts = ServerParts(b"a", b"b", b"c")

    watch(parts, passing, 8 * 3600)

    assert "no client is connected, and 3 tasks are waiting" in caplog.messages[0]
    assert 9 == len(caplog.messages)


def test_nothing_is_said_while_there_is_a_client(passing, caplog):
    """However busy it is."""
    parts = ServerParts(b"a", b"b")
    parts.join()

    watch(parts, passing, 3600)

    assert [] == caplog.messages


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPING])
def test_nothing_is_said_at_the_end(passing, caplog, phase):
    """Nothing more is started."""
    parts = ServerParts(b"a")
    parts.scheduled.set_phase(phase)

    watch(parts, passing, 3600)

    assert [] == caplog.messages


def test_nothing_is_said_where_nothing_waits(passing, caplog):
    """A server that runs for ever has no need of clients before it has tasks."""
    watch(ServerParts(), passing, 3600)

    assert [] == caplog.messages
