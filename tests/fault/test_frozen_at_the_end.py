"""A server that ends while a client is frozen: the next one waits until its tasks have stopped."""

import signal
import sqlite3
import time

import pytest

from tests.helpers.farm import rarely
from tests.helpers.once import assert_never_twice, exclusive, starts_of
from tests.helpers.waiting import until

LEASE = 5
ENDS = {
    "SIGTERM": lambda farm, server: server.signal(signal.SIGTERM),
    "SIGHUP": lambda farm, server: server.signal(signal.SIGHUP),
    "two Ctrl-C": lambda farm, server: press_twice(server),
    "stop": lambda farm, server: farm.start("server", "stop"),
}


@pytest.fixture(autouse=True)
def _flock(need) -> None:
    need("flock")


def press_twice(server) -> None:
    server.press_ctrl_c()
    server.expect("press Ctrl-C again")
    server.press_ctrl_c()


@pytest.mark.parametrize("end", [rarely("SIGTERM"), "stop", rarely("SIGHUP"), rarely("two Ctrl-C")])
def test_tasks_of_a_frozen_client_wait_for_its_lease_after_a_clean_stop(farm, end):
    """Its client cannot say that it stopped them: another would run them at the same time."""
    options = ("--lease", LEASE, "--grace", 0.5)
    lines = farm.write_lines([exclusive("test $TASK_ATTEMPT -gt 1 || sleep 60")])
    server = farm.start_server(lines, *options)
    frozen = farm.start_client()
    farm.wait_for_lines("starts", 1)
    # Its lease counts from its last call, up to a second ago; it and its tasks are killed a second
    # before the lease is over, which the next server sees.
    frozen.client_proper().suspend()
    began = time.monotonic()

    ENDS[end](farm, server)
    server.wait()
    again = farm.start_server(lines, "--resume", *options)
    other = farm.start_client()
    farm.wait_for_lines("starts", 2)

    assert time.monotonic() - began > LEASE - 3
    assert [0, 0] == [again.wait(), other.wait()]
    assert_never_twice(farm)
    assert {"1": [1, 2]} == starts_of(farm)
    frozen.kill()
    until(lambda: not farm.alive(), 5, "nothing is left")


def test_a_client_whose_lease_passed_is_not_waited_for_again(farm):
    """It died with its server, and never comes back: the run that waited for it notes that."""
    options = ("--lease", 3, "--grace", 0.5)
    lines = farm.write_lines([exclusive("test $TASK_ATTEMPT -gt 1 || sleep 60")])
    server = farm.start_server(lines, *options)
    dead = farm.start_client()
    farm.wait_for_lines("starts", 1)
    dead.kill_tree()
    server.kill()

    again = farm.start_server(lines, "--resume", *options)
    other = farm.start_client()

    assert [0, 0] == [again.wait(), other.wait()], again.err
    with sqlite3.connect(farm.folder / ".hyper-shell" / "hyper-shell.db") as database:
        present = database.execute("SELECT id FROM clients WHERE left_at IS NULL").fetchall()
    assert [] == present
    assert_never_twice(farm)
