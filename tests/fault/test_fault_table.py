"""The table of faults: each is made again and again at random moments; its row must be clean."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.helpers.farm import Process, kill_all
from tests.helpers.fault_table import FaultTable
from tests.helpers.fault_trial import Blow, Trial, strike_again_and_again
from tests.helpers.relay import Relay

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]

OPTIONS = ("--lease", 3, "--grace", 0.5)
PATIENCE = 60


def end_of(trial: Trial, server: Process, *clients: Process) -> None:
    """Wait until a run is over in which some lines failed and all ended."""
    assert 1 == server.wait(PATIENCE), server.err
    for client in clients:
        client.wait(PATIENCE)


def finish(trial: Trial, *options: object) -> None:
    """Run what is left, as a user would."""
    cluster = trial.farm.start("cluster", trial.path, "--resume", "-N", 2, *OPTIONS, *options)
    assert cluster.wait(PATIENCE) in {0, 1}, cluster.err


def one_of_two_clients(blow: Callable[[Trial, Process], None], sign: str) -> Blow:
    """A server with two clients, one of which is struck."""

    def strike(trial: Trial) -> None:
        farm = trial.farm
        server = farm.start_server(trial.path, *OPTIONS)
        victim, steady = farm.start_client("-N", 2), farm.start_client("-N", 2)
        trial.wait_for_moment()
        trial.struck()
        blow(trial, victim)
        trial.noticed(server, sign)
        end_of(trial, server, steady)
        victim.kill()

    return strike


def client_dies(_: Trial, victim: Process) -> None:
    """The process that runs tasks; its supervisor is left."""
    victim.client_proper().kill()


def supervisor_dies(_: Trial, victim: Process) -> None:
    """The client ends what it runs and says so."""
    psutil.Process(victim.pid).kill()


def client_and_supervisor_die(_: Trial, victim: Process) -> None:
    """Nobody says so; the tasks die with them, as on a machine that loses power."""
    below = victim.descendants()
    victim.signal(signal.SIGSTOP)
    kill_all(below)
    victim.kill()


def client_freezes(_: Trial, victim: Process) -> None:
    """For longer than its lease."""
    victim.client_proper().suspend()


def server_dies(trial: Trial) -> None:
    """SIGKILL, and the same command with `--resume`; the client lives through it."""
    farm = trial.farm
    farm.free_port()
    options = ("-p", farm.port, *OPTIONS)
    server = farm.start("server", trial.path, *options)
    client = farm.start_client("-N", 2)
    trial.wait_for_moment()
    trial.struck()
    server.kill()
    again = farm.start("server", trial.path, "--resume", *options)
    trial.noticed(again, "running under the previous server|reconnected")
    end_of(trial, again, client)


def everything_dies(trial: Trial) -> None:
    """SIGKILL to a whole cluster, and the same command with `--resume`."""
    cluster = trial.farm.start("cluster", trial.path, "-N", 4, *OPTIONS)
    trial.wait_for_moment()
    cluster.signal(signal.SIGSTOP)
    below = cluster.descendants()
    cluster.kill()
    kill_all(below)
    finish(trial)


def tree_is_told(number: int, *, children_first: bool) -> Blow:
    """A signal to each process of a cluster in turn, as a batch system sends it."""

    def strike(trial: Trial) -> None:
        cluster = trial.farm.start("cluster", trial.path, "-N", 8, *OPTIONS)
        trial.wait_for_moment()
        tree = [psutil.Process(cluster.pid), *cluster.descendants()]
        trial.struck()
        for process in reversed(tree) if children_first else tree:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        trial.noticed(cluster, "unfinished|interrupted")
        assert cluster.wait(PATIENCE) in {128 + number}, cluster.err
        finish(trial)

    return strike


def client_tree_is_told(trial: Trial) -> None:
    """SIGTERM to a client and its tasks, tasks first; another client goes on."""
    farm = trial.farm
    server = farm.start_server(trial.path, *OPTIONS)
    victim, steady = farm.start_client("-N", 4), farm.start_client("-N", 2)
    trial.wait_for_moment()
    trial.struck()
    for process in [*reversed(victim.descendants()), psutil.Process(victim.pid)]:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    trial.noticed(server, "left")
    end_of(trial, server, victim, steady)


def network(blow: str, seconds: float) -> Blow:
    """One of two clients is behind a relay that cuts, stalls or refuses for a while."""

    def strike(trial: Trial) -> None:
        farm = trial.farm
        server = farm.start_server(trial.path, *OPTIONS)
        relay = Relay(server.port)
        try:
            behind = farm.start_client("-N", 2, "-H", "127.0.0.1", port=relay.port)
            steady = farm.start_client("-N", 2, port=server.port)
            trial.wait_for_moment()
            trial.struck()
            getattr(relay, blow)()
            time.sleep(seconds)
            relay.heal()
            trial.noticed(server, "reconnected|lost contact|left")
            end_of(trial, server, steady)
            behind.wait(PATIENCE)
        finally:
            relay.close()

    return strike


FAULTS: dict[str, Blow] = {
    "client killed": one_of_two_clients(client_dies, "left"),
    "supervisor killed": one_of_two_clients(supervisor_dies, "left"),
    "client and supervisor killed": one_of_two_clients(client_and_supervisor_die, "together"),
    "client frozen": one_of_two_clients(client_freezes, "left|lost contact"),
    "server killed, --resume": server_dies,
    "whole cluster killed, --resume": everything_dies,
    "TERM to all, children first": tree_is_told(signal.SIGTERM, children_first=True),
    "TERM to all, parents first": tree_is_told(signal.SIGTERM, children_first=False),
    "INT to all, children first": tree_is_told(signal.SIGINT, children_first=True),
    "HUP to all, children first": tree_is_told(signal.SIGHUP, children_first=True),
    "TERM to a client and its tasks": client_tree_is_told,
    "connections cut": network("cut", 0.0),
    "nothing flows for half a lease": network("stall", 1.5),
    "nothing flows for two leases": network("stall", 6.0),
    "connections refused for two leases": network("refuse", 6.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_no_task(fault: str, tmp_path: Path, fault_table: FaultTable) -> None:
    """No task is lost, none runs twice at the same time, and each has the state it deserves."""
    row = strike_again_and_again(fault, FAULTS[fault], tmp_path)

    fault_table.add(row)
    assert row.is_clean, row
