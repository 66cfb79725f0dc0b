"""The line to the launcher: what it says, and that it may go at any moment."""

import socket

import pytest

from hypershell.client.events import PauseAsked, PauseOver
from hypershell.client.launcher_channel import LauncherChannel


@pytest.fixture
def launcher():
    """The launcher's end of a channel, and the client's."""
    theirs, ours = socket.socketpair()
    yield theirs, LauncherChannel(ours.detach())
    theirs.close()


def heard_by(channel: LauncherChannel) -> list[object]:
    """All events until the launcher is gone."""
    events: list[object] = []
    channel.receive(events.append)
    return events


def test_what_the_launcher_says_becomes_events(launcher):
    """In the same order, until it hangs up."""
    theirs, channel = launcher
    theirs.sendall(b"pause\ngo-on\npause\ngo-on 12.5\n")
    theirs.close()

    events = heard_by(channel)

    asked = PauseAsked(by_launcher=True)
    assert [asked, PauseOver(None), asked, PauseOver(12.5)] == events


def test_a_launcher_that_is_killed_before_it_has_read_is_no_error(launcher):
    """The kernel resets the connection then; its death is heard of otherwise."""
    theirs, channel = launcher
    channel.paused("c1")
    theirs.close()

    assert [] == heard_by(channel)
