"""A server that is killed or frozen: its clients stop what they run, and say so."""

import re
import signal

import pytest

from tests.helpers.waiting import until


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_clients_stop_their_tasks_within_the_lease_and_exit_6(farm, number):
    """The server is silent for good: no task outlives the lease, and the client says what to do."""
    server = farm.start_server(["sleep 1000 & sleep 1001"] * 2, "--lease", 3, "--grace", 0.5)
    client = farm.start_client("-N", 2, "--wait", 1)
    until(lambda: len(farm.tasks()) >= 6, 10, "two tasks with a child each")

    server.signal(number)

    until(lambda: not farm.tasks(), 3.2, "no task is left")
    assert 6 == client.wait(5)
    assert re.search("\nhyper-shell: error: the connection to the server .*\nhint: ", client.err)
    server.kill()


def test_a_server_that_is_back_before_the_lease_is_over_is_not_missed(farm):
    """SIGSTOP and SIGCONT: the run goes on."""
    server = farm.start_server(["sleep 0.05; echo >> ran"] * 30, "--lease", 6, "--grace", 0.5)
    client = farm.start_client()
    farm.wait_for_lines("ran", 3)

    server.signal(signal.SIGSTOP)
    farm.wait_for_lines("ran", 4)
    server.signal(signal.SIGCONT)

    assert [0, 0] == [server.wait(), client.wait()]
    assert 30 == len(farm.read("ran"))


@pytest.mark.campaign
def test_an_idle_client_of_a_dead_server_ends_too(farm):
    """Exit 6 at the end of the lease, with nothing to stop."""
    server = farm.start_server(["sleep 1000"], "--lease", 2, "--grace", 0.3)
    busy, idle = farm.start_client("--wait", 1), farm.start_client("--wait", 1)
    idle.expect("joined the server")
    busy.expect("joined the server")

    server.kill()

    assert [6, 6] == [busy.wait(6), idle.wait(6)]
