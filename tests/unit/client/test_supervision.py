"""What a supervisor decides by what its client said, without a process or a clock."""

import contextlib
import math
import os
from signal import SIGINT, SIGTERM

import pytest

from hypershell.client.supervision import Supervision
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.wire.worker_messages import Welcome

WELCOME = Welcome("c1", 1, 20.0, 5.0, ())


class Line:
    """A client's end of its pipe, and what hears the other, a byte at a time."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.client = SupervisorPipe(self.write_end)
        self._supervision = Supervision()

    def deliver(self) -> Supervision:
        """Hand on all that the client has said."""
        with contextlib.suppress(BlockingIOError):
            for byte in os.read(self.read_end, 4096):
                self._supervision.hear(bytes([byte]))
        return self._supervision


@pytest.fixture
def line():
    """A line between a client and its supervisor."""
    line = Line()
    yield line
    os.close(line.read_end)
    os.close(line.write_end)


def test_a_client_that_has_not_joined_has_no_lease_and_owes_nothing():
    """It may wait for its server as long as it likes."""
    supervision = Supervision()

    assert supervision.remaining(1e9) is None
    assert not supervision.owes_leave()


def test_a_client_that_joined_has_its_lease_from_when_it_was_heard(line):
    """Less half of the margin by which the client itself is earlier."""
    line.client.joined(WELCOME, heard_at=100.0)

    supervision = line.deliver()
    assert 9.5 == supervision.remaining(110.0)
    assert supervision.owes_leave()
    assert "c1" == supervision.client_id


def test_a_client_that_is_heard_has_its_lease_from_then_on(line):
    """It says so now and then, not after each call."""
    line.client.joined(WELCOME, heard_at=100.0)

    line.client.heard(110.0, lease_seconds=20.0)
    line.client.heard(110.5, lease_seconds=20.0)

    assert 19.5 == line.deliver().remaining(110.0)


def test_a_client_that_left_owes_nothing(line):
    """Nor is its lease looked at any more."""
    line.client.joined(WELCOME, heard_at=100.0)

    line.client.left(known=True)

    supervision = line.deliver()
    assert not supervision.owes_leave()
    assert supervision.remaining(1e9) is None


@pytest.mark.parametrize("known", [False, True])
def test_a_client_is_accounted_for_when_the_server_has_heard_that_it_left(line, known):
    """Or if it never joined one: else what it left is for the next server to find."""
    assert line.deliver().is_accounted_for()
    line.client.joined(WELCOME, heard_at=100.0)
    assert not line.deliver().is_accounted_for()

    line.client.left(known=known)

    assert known is line.deliver().is_accounted_for()


def test_a_client_whose_lease_was_over_is_killed_once(line):
    """And the server still hears that it is gone."""
    line.client.joined(WELCOME, heard_at=100.0)
    supervision = line.deliver()
    assert supervision.remaining(120.0) < 0

    supervision.give_up()

    assert supervision.remaining(120.0) is None
    assert supervision.owes_leave()


def test_a_second_interrupt_at_once_is_the_first_one():
    """The terminal and a parent both send it; one that comes later is meant."""
    supervision = Supervision()

    forwarded = [supervision.signals_to_forward([SIGINT], now) for now in (5.0, 5.05, 6.0, 6.2)]

    assert [[SIGINT], [], [SIGINT], [SIGINT]] == forwarded


def test_other_signals_are_all_passed_on():
    """In the order in which they came."""
    supervision = Supervision()

    assert [SIGTERM, SIGINT, SIGTERM] == supervision.signals_to_forward(
        [SIGTERM, SIGINT, SIGTERM, SIGINT], 5.0
    )


def test_a_client_that_stopped_its_tasks_has_nothing_to_be_killed_for(line):
    """It looks for its server; when it has found it, its lease counts again."""
    line.client.joined(WELCOME, heard_at=100.0)
    line.client.stopped(100.0)
    assert line.deliver().remaining(1000.0) is None
    assert line.deliver().owes_leave()

    line.client.joined(WELCOME, heard_at=500.0)

    assert 9.5 == line.deliver().remaining(510.0)


def test_a_stop_of_an_earlier_lease_says_nothing_of_the_present_one(line):
    """The client joined again while it was said."""
    line.client.joined(WELCOME, heard_at=100.0)
    line.client.joined(WELCOME, heard_at=120.0)
    line.client.stopped(100.0)

    assert 9.5 == line.deliver().remaining(130.0)


@pytest.mark.parametrize(
    ("numbers", "remaining"),
    [([SIGINT], math.inf), ([SIGINT, SIGINT], 13.0), ([SIGTERM], 13.0), ([SIGTERM] * 3, 13.0)],
)
def test_a_client_that_is_told_to_end_has_a_time_to_do_it(line, numbers, remaining):
    """The grace time of its tasks and some more; a first Ctrl-C lets tasks finish."""
    line.client.joined(WELCOME, heard_at=100.0)
    supervision = line.deliver()

    for second, number in enumerate(numbers):
        supervision.told_to_end(number, 50.0 + second)

    first = 51.0 if numbers[0] == SIGINT else 50.0
    assert remaining == supervision.end_remaining(first)


def test_the_server_hears_while_what_a_dead_client_left_is_ended(line):
    """Before its lease is over; not if it had left."""
    line.client.joined(WELCOME, heard_at=100.0)
    supervision = line.deliver()

    assert [False, True] == [supervision.beat_due(now) for now in (104.0, 106.0)]
    supervision.heard(106.0)
    assert not supervision.beat_due(107.0)
    line.client.left(known=True)
    assert not line.deliver().beat_due(200.0)


def test_a_supervisor_that_is_stopped_holds_nobody_up():
    """What does not fit into its pipe is not said."""
    read_end, write_end = os.pipe()
    client = SupervisorPipe(write_end)

    for second in range(10_000):
        client.heard(100.0 * second, lease_seconds=20.0)

    assert not client.unheard()
    os.close(read_end)
    assert client.unheard()
    os.close(write_end)


def test_a_client_whose_tasks_stand_still_needs_no_watching(line):
    """News of a call that was under way change nothing; it is watched again when they run on."""
    line.client.joined(WELCOME, 100.0)
    line.client.paused()
    line.client.heard(105.0, 20.0)

    assert line.deliver().is_paused
    assert line.deliver().remaining(1e9) is None

    line.client.resumed(500.0)

    assert not line.deliver().is_paused
    assert 19.5 == line.deliver().remaining(500.0)
