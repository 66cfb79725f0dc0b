"""What a client held and had not begun, when it or its server is gone: no attempt, no loss."""

import signal
import time

import pytest

from tests.helpers.once import assert_never_twice, exclusive, starts_of
from tests.helpers.waiting import until

QUICKLY = 10.0
"""Seconds: far less than the lease, which is the default of 30."""


@pytest.fixture(autouse=True)
def _flock(need) -> None:
    need("flock")


def test_what_a_killed_client_had_not_begun_runs_as_its_first_attempt(farm):
    """The two that it ran are lost and tried again; nothing else is an attempt, or retried."""
    first_hangs = exclusive("test $TASK_ATTEMPT -gt 1 || sleep 60")
    server = farm.start_server([first_hangs] * 2 + [exclusive("true")] * 20)
    lost = farm.start_client("-N", 2)
    farm.wait_for_lines("starts", 2)

    lost.client_proper().kill()
    other = farm.start_client("-N", 2)

    assert [0, 0] == [server.wait(), other.wait()], server.err
    starts = starts_of(farm)
    assert [[1, 2]] * 2 + [[1]] * 20 == [starts[str(number)] for number in range(1, 23)]
    assert "22 tasks: 22 succeeded, 0 failed, 2 retried" in server.err
    assert_never_twice(farm)


def test_a_server_that_is_killed_waits_for_no_lease_of_what_its_client_has_not_begun(farm):
    """The client is back at once and says what it holds; the rest goes out again, uncounted."""
    lines = farm.write_lines([exclusive("sleep 0.1")] * 60)
    server = farm.start_server(lines)
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ends", 6)

    server.kill()
    began = time.monotonic()
    again = farm.start("server", lines, "-p", farm.port, "--resume")

    assert [0, 0] == [again.wait(), client.wait()], again.err
    assert time.monotonic() - began < 2 * QUICKLY
    assert {str(number): [1] for number in range(1, 61)} == starts_of(farm)
    assert "60 succeeded, 0 failed, 0 retried" in again.err
    assert_never_twice(farm)


def test_what_a_frozen_client_holds_waits_for_its_lease_even_if_it_has_not_begun(farm):
    """It may begin any of it, if it thaws; when nobody has said, the next start is another one."""
    # It freezes its client itself, which then holds others in advance, as those before were short.
    freezes = exclusive("test $TASK_ATTEMPT -gt 1 || { kill -STOP $PPID; sleep 60; }")
    lines = [short := exclusive("true")] * 30 + [freezes] + [short] * 30
    server = farm.start_server(lines, "--lease", 4, "--grace", 0.5)
    frozen = farm.start_client()

    until(lambda: "31 1" in farm.read("starts"), 10, "the client is frozen")
    began = time.monotonic()
    other = farm.start_client()
    until(lambda: again(farm), 20, "what it held goes out again")

    assert time.monotonic() - began > 2.5
    assert [0, 0] == [server.wait(), other.wait()], server.err
    attempts = starts_of(farm)
    assert len(again(farm)) > 1  # the one that froze it, and what had not begun
    assert {str(number) for number in range(1, 62)} == set(attempts)
    # What ended in the last moment, unheard, has run and runs again.
    assert all(each in ([1], [2], [1, 2]) for each in attempts.values())
    assert "61 succeeded, 0 failed" in server.err
    assert_never_twice(farm)
    frozen.signal(signal.SIGKILL)
    until(lambda: not farm.alive(), 5, "nothing is left")


def again(farm) -> list[str]:
    """The second attempts that were started."""
    return [line for line in farm.read("starts") if line.endswith(" 2")]
