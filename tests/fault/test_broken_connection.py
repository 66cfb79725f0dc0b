"""Connections that break, stall and heal: nothing is lost, and nothing runs twice at once."""

import random
import time

import pytest

from tests.helpers.farm import rarely
from tests.helpers.once import assert_never_twice, exclusive, starts_of
from tests.helpers.waiting import stays, until


@pytest.fixture(autouse=True)
def _flock(need) -> None:
    need("flock")


def start_behind_relay(farm, relay_to, lines: list[str], *options: object, wait: float = 60):
    """A server, a relay before it, and a client of two slots that goes through the relay."""
    server = farm.start_server(lines, *options)
    relay = relay_to(server.port)
    client = farm.start_client("-H", "127.0.0.1", "-N", 2, "--wait", wait, port=relay.port)
    client.expect("joined the server")
    return server, relay, client


def test_a_connection_that_is_cut_again_and_again_costs_nothing(farm, relay_to):
    """Within the lease the client comes back: each task is started once, and all succeed."""
    server, relay, client = start_behind_relay(farm, relay_to, [exclusive("sleep 0.02")] * 100)

    for count in range(15, 90, 15):
        farm.wait_for_lines("ends", count)
        relay.cut()

    assert [0, 0] == [server.wait(30), client.wait()]
    assert [[1]] * 100 == list(starts_of(farm).values())
    assert "100 tasks: 100 succeeded, 0 failed, 0 retried" in server.err
    assert "reconnected" in server.err
    assert "Traceback" not in client.err


def test_a_server_out_of_reach_for_less_than_the_lease_is_found_again(farm, relay_to):
    """New connections are turned away for a while; tasks run on, and their outcomes arrive."""
    lines = [exclusive("until test -e go; do sleep 0.02; done")] * 2 + [exclusive("true")] * 20
    server, relay, client = start_behind_relay(farm, relay_to, lines)
    farm.wait_for_lines("starts", 2)

    relay.refuse()
    until(lambda: relay.accepted >= 6, 10, "the client tries to come back")
    (farm.folder / "go").touch()
    farm.wait_for_lines("ends", 2)
    relay.heal()

    assert [0, 0] == [server.wait(), client.wait()]
    assert [[1]] * 22 == list(starts_of(farm).values())


def test_a_stall_shorter_than_the_lease_is_not_noticed(farm, relay_to):
    """Nothing flows for a while, and nobody is told: then all goes on."""
    options = ["--lease", 6, "--grace", 0.5]
    server, relay, client = start_behind_relay(farm, relay_to, [exclusive(":")] * 150, *options)
    farm.wait_for_lines("ends", 30)

    relay.stall()
    stays(lambda: client.is_running and server.is_running, 0.7, "both wait")
    relay.heal()

    assert [0, 0] == [server.wait(), client.wait()]
    assert [[1]] * 150 == list(starts_of(farm).values())


@pytest.mark.parametrize("fault", [rarely("stall"), "refuse"])
def test_a_client_cut_off_for_its_lease_stops_its_tasks_before_another_has_them(
    farm, relay_to, fault
):
    """The tasks run elsewhere, as attempt 2, after the first attempt has died; when it does not
    find the server in time, it exits 6.
    """
    hangs = exclusive("test $TASK_ATTEMPT -gt 1 || { sleep 1000 & sleep 1001; }")
    options = ["--lease", 3, "--grace", 0.5]
    server, relay, client = start_behind_relay(farm, relay_to, [hangs] * 2, *options, wait=1)
    farm.wait_for_lines("starts", 2)
    other = farm.start_client("-N", 2, port=server.port)
    other.expect("joined the server")

    getattr(relay, fault)()

    assert [0, 0] == [server.wait(10), other.wait()]
    assert {"1": [1, 2], "2": [1, 2]} == starts_of(farm)
    assert_never_twice(farm)
    assert 6 == client.wait()
    assert "for 3 s; its 2 tasks are rescheduled" in server.err


@pytest.mark.parametrize("fault", ["stall", rarely("refuse")])
def test_what_a_client_earned_before_it_was_cut_off_counts(farm, relay_to, fault):
    """It was given up meanwhile: back as another client it hands in what has ended, and goes on.

    Nothing runs again that has come to its end, and what it had to stop is neither a failure nor
    the loss of a client.
    """
    ends = exclusive("until test -e go; do sleep 0.02; done")
    hangs = exclusive("test $TASK_ATTEMPT -gt 1 || sleep 1000")
    options = ["--lease", 3, "--grace", 0.5, "--max-lost", 2]
    server, relay, client = start_behind_relay(farm, relay_to, [ends, hangs], *options)
    farm.wait_for_lines("starts", 2)

    getattr(relay, fault)()
    (farm.folder / "go").touch()
    farm.wait_for_lines("ends", 1)
    client.expect("the tasks running here were stopped")
    server.expect("lost contact")
    relay.heal()

    assert [0, 0] == [server.wait(20), client.wait()]
    assert {"1": [1], "2": [1, 2]} == starts_of(farm)
    assert_never_twice(farm)
    assert "2 tasks: 2 succeeded, 0 failed" in server.err
    assert "handed in 2 results" in server.err
    assert "Traceback" not in client.err


def test_another_server_at_the_port_is_not_the_end_of_a_client(farm, relay_to):
    """It refuses the key, and is none of ours: the client looks on until its own is back."""
    lines = [exclusive("until test -e go; do sleep 0.02; done")] * 2
    server, relay, client = start_behind_relay(farm, relay_to, lines, "--lease", 20)
    farm.wait_for_lines("starts", 2)
    theirs = {"HYPERSHELL_AUTH": "a-key-of-somebody-else", **farm.elsewhere()}
    other = farm.start("server", "--forever", "-p", 0, env=theirs)

    relay.lead_to(other.port)
    relay.cut()
    accepted = relay.accepted
    until(lambda: relay.accepted >= accepted + 4, 10, "the client tries again and again")
    relay.lead_to(server.port)
    (farm.folder / "go").touch()

    assert [0, 0] == [server.wait(20), client.wait()]
    assert {"1": [1], "2": [1]} == starts_of(farm)


def test_tasks_end_normally_while_the_network_is_slow_to_close(farm, relay_to):
    """A stall at the very end of the run: server and client both end, within seconds."""
    lines = ["echo >> started; until test -e go; do sleep 0.02; done; touch done"]
    options = ["--lease", 6, "--grace", 0.5]
    server, relay, client = start_behind_relay(farm, relay_to, lines, *options)
    farm.wait_for_lines("started", 1)

    relay.stall()
    (farm.folder / "go").touch()
    until((farm.folder / "done").exists, 5, "the task has ended")
    begin = time.monotonic()
    relay.heal()

    assert [0, 0] == [server.wait(), client.wait()]
    assert time.monotonic() - begin < 3


@pytest.mark.campaign
@pytest.mark.parametrize("trial", range(10))
def test_any_weather_between_two_clients_and_their_server(farm, relay_to, trial):
    """Cuts, stalls and refusals of any length, some beyond the lease; new clients come."""
    chance = random.Random(trial)
    server = farm.start_server(
        [exclusive("sleep 0.03")] * 400, "--lease", 2, "--grace", 0.2, "--max-lost", 100
    )
    relay = relay_to(server.port)
    farm.start_client("-N", 2)
    clients = [farm.start_client("-N", 2, port=relay.port)]

    for _ in range(8):
        stays(lambda: True, chance.uniform(0.05, 0.4), "")
        getattr(relay, chance.choice(["cut", "stall", "refuse"]))()
        stays(lambda: True, chance.choice([0.05, 0.3, 1.0, 2.5]), "")
        relay.heal()
        if not clients[-1].is_running:
            clients.append(farm.start_client("-N", 2, port=relay.port))

    assert 0 == server.wait(60)
    assert "400 tasks: 400 succeeded, 0 failed" in server.err
    assert 400 == len(starts_of(farm))
    assert_never_twice(farm)
