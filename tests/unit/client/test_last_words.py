"""What a supervisor says in the name of a dead client: to a server that notes it, or to none."""

import pytest

from hypershell.client import last_words
from hypershell.client.begun_table import BegunTable
from hypershell.client.last_words import LastWords
from hypershell.core.errors import ServerUnreachable
from hypershell.wire.refusal import CallRefused, ErrorKind

calls: list[tuple[object, ...]] = []


class Proxy:
    """A server that hears everything, unless it is not there."""

    is_there = True

    def __init__(self, host: str, port: int, secret: bytes) -> None:
        if not self.is_there:
            raise ServerUnreachable(host=host, port=port, reason="it is gone")

    def leave(self, *arguments: object) -> None:
        """Note it."""
        calls.append(("leave", *arguments))

    def beat(self, *arguments: object) -> None:
        """Note it."""
        calls.append(("beat", *arguments[:2], arguments[-1]))


@pytest.fixture
def words(monkeypatch) -> LastWords:
    """Those for a client that began two tasks, one of which a signal to all ended."""
    calls.clear()
    monkeypatch.setattr(last_words, "WorkerProxy", Proxy)
    table = BegunTable(5)
    table.mark(1, 4)
    table.mark(2, 5)
    table.interrupted((2, 5))
    return LastWords(lambda: ("node1", 1234, b""), table)


def test_the_server_hears_which_tasks_had_begun(words):
    """And which of these were interrupted: the others were never begun."""
    assert words.leave("c1", "KILL")

    assert [("leave", "c1", "it died (KILL)", True, [(1, 4)], [(2, 5)])] == calls


def test_the_server_hears_while_tasks_are_still_being_killed(words):
    """With the session of the client, as it would itself."""
    words.still_here("c1", 3, 2.0)

    assert [("beat", "c1", 3, 2.0)] == calls


def test_a_server_that_is_gone_changes_nothing(words, monkeypatch):
    """The lease decides."""
    monkeypatch.setattr(Proxy, "is_there", False)

    words.still_here("c1", 3, 2.0)
    assert not words.leave("c1", "KILL")

    assert [] == calls


def test_a_server_that_fails_changes_nothing(words, monkeypatch):
    """A supervisor ends as its client did, whatever the server makes of it."""

    def fail(self: Proxy, *arguments: object) -> None:
        raise CallRefused(ErrorKind.FAILED, "the server could not handle this request")

    monkeypatch.setattr(Proxy, "leave", fail)
    monkeypatch.setattr(Proxy, "beat", fail)

    words.still_here("c1", 3, 2.0)
    assert not words.leave("c1", "KILL")

    assert [] == calls
