"""Servers that are killed, started again and stopped under their clients, found by a directory."""

import contextlib
import signal
from pathlib import Path

import psutil
import pytest

from tests.helpers.access import Site, free_ports, generate, uid_of
from tests.helpers.farm import Farm
from tests.helpers.waiting import stays, until


def pids_in(farm: Farm, name: str) -> list[int]:
    """The process numbers that tasks wrote into a file."""
    return [int(line) for line in farm.read(name)]


def test_clients_that_lived_find_the_next_server(site: Site) -> None:
    """SIGKILL and a new start: both clients come back with the keys they have, and work.

    What ran of the old server, which a new one without a database knows nothing of, is stopped
    before the new one's tasks start.
    """
    server = site.serve("--no-db")
    clients = [site.client("-N", 2) for _ in range(2)]
    run = site.farm.write_lines(["echo $$ >> old; sleep 60; echo survived >> old-ends"] * 4)
    assert 0 == site.run("submit", "-f", run).wait()
    old = [int(line) for line in site.farm.wait_for_lines("old", 4)]
    assert all(psutil.pid_exists(pid) for pid in old)

    server.kill()
    new = site.serve("--no-db")
    until(lambda: len(site.info()["clients"]) == 2, 15, "both clients are back")
    living = " ".join(map(str, old))
    look = f"for p in {living}; do kill -0 $p 2>/dev/null && echo $p; done >> still; echo >> new"
    assert 0 == site.run("submit", "-f", site.farm.write_lines([look] * 8)).wait()

    assert 8 == len(site.farm.wait_for_lines("new", 8))
    assert [] == site.farm.read("still")
    assert [] == [pid for pid in old if psutil.pid_exists(pid)]
    assert all(client.is_running for client in clients)
    assert uid_of(server) != uid_of(new)
    site.stop()
    assert [0, 0] == [client.wait() for client in clients]


def test_what_runs_goes_on_under_the_next_server(site: Site) -> None:
    """A server that finds its database again adopts what its clients hold: no task runs twice."""
    server = site.serve()
    client = site.client("-N", 2)
    begun = "echo >> begun; while [ ! -e go ]; do sleep 0.05; done; echo >> ended"
    assert 0 == site.run("submit", "-f", site.farm.write_lines([begun] * 4)).wait()
    site.farm.wait_for_lines("begun", 2)

    server.kill()
    new = site.serve()
    until(lambda: len(site.info()["clients"]) == 1, 15, "the client is back")
    (site.farm.folder / "go").touch()

    assert 4 == len(site.farm.wait_for_lines("ended", 4))
    assert 4 == len(site.farm.read("begun"))
    site.stop()
    assert 0 == client.wait()
    assert 0 == new.wait()


def test_clients_with_a_key_made_beforehand_find_the_next_server(site: Site) -> None:
    """The same with --access-file, through three deaths, by a client that has only its part."""
    worker, client = free_ports(site.farm)
    full = generate(site.farm, "full.json", "--worker-file", "w.json", worker=worker, client=client)
    server = site.serve("--access-file", full)
    node = site.farm.start("client", "--access-file", "w.json")

    for number in range(3):
        server.kill()
        server = site.serve("--access-file", full)
        site.submit(f"echo {number} >> done")
        site.farm.wait_for_lines("done", number + 1)

    assert ["0", "1", "2"] == site.farm.read("done")
    assert node.is_running
    site.stop()
    assert 0 == node.wait()


@pytest.mark.campaign
def test_a_client_that_started_before_its_server_finds_it(site: Site) -> None:
    """A client waits for a directory that is not there yet, and for the file in it."""
    client = site.start("client")
    stays(lambda: client.is_running, 0.5, "it waits")

    site.serve()

    client.expect("joined the server")


def test_a_client_does_not_wait_for_what_waiting_cannot_mend(site: Site) -> None:
    """An exposed access file ends it at once, with 5."""
    site.serve()
    (site.path / "001" / "access.json").chmod(0o644)

    client = site.run("client", seconds=5)

    assert 5 == client.wait()
    assert "chmod 600" in client.err


def test_clients_learn_of_a_server_that_stopped_and_leave(site: Site) -> None:
    """After `stop` no client stays behind; each ends with 0."""
    site.serve()
    clients = [site.client() for _ in range(3)]

    site.stop()

    assert [0, 0, 0] == [client.wait(5) for client in clients]


def stop_while_many_run(site: Site, slots: int, tasks: int) -> None:
    """Stop a server with two clients whose slots are all taken; nothing is left running."""
    server = site.serve()
    clients = [site.client("-N", slots) for _ in range(2)]
    path = site.farm.write_lines(["sleep 60", "sleep 60 & sleep 60; true"] * (tasks // 2))
    submit = site.run("submit", "-f", path)
    assert 0 == submit.wait()

    def running() -> int:
        return sum(client["running"] for client in site.info()["clients"])

    until(lambda: running() == 2 * slots, 30, "all slots are taken")
    until(lambda: len(site.farm.tasks()) >= 2 * slots, 30, "their processes are there")

    site.stop()

    assert [] == site.farm.tasks()
    assert server.popen.poll() is not None
    assert site.is_clean()
    assert 1 == server.wait()
    assert [0, 0] == [client.wait() for client in clients]


def test_stop_leaves_no_process_of_a_thousand_tasks(site: Site) -> None:
    """With 100 of 1000 tasks running on two clients, `stop` returns when all are gone."""
    stop_while_many_run(site, slots=50, tasks=1000)


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_stop_leaves_no_process_of_a_thousand_that_run(site: Site) -> None:
    """The same with all 1000 running at a time."""
    stop_while_many_run(site, slots=500, tasks=1000)


def test_stop_ends_tasks_that_ignore_to_be_told(site: Site) -> None:
    """A task that ignores SIGTERM is killed after the grace; `stop` waits for that."""
    site.serve("--grace", 0.5)
    site.client("-N", 2)
    site.submit("trap '' TERM HUP INT; echo $$ >> pids; while :; do sleep 1; done")
    site.submit("(trap '' TERM; echo $$ >> pids; while :; do sleep 1; done)")
    pids = [int(line) for line in site.farm.wait_for_lines("pids", 2)]

    site.stop()

    assert [] == [pid for pid in pids if psutil.pid_exists(pid)]
    assert [] == site.farm.tasks()


@pytest.mark.campaign
def test_stop_of_a_server_whose_client_is_frozen_returns(site: Site) -> None:
    """`stop` does not wait for ever for a client that says nothing; nothing is left of it."""
    server = site.serve("--grace", 0.5, "--lease", 3)
    client = site.client()
    site.submit("sleep 60")
    until(site.farm.tasks, 15, "the task runs")
    proper = client.client_proper()
    proper.send_signal(signal.SIGSTOP)

    stop = site.run("server", "stop", seconds=15)

    assert 0 == stop.wait()
    assert server.popen.poll() is not None
    with contextlib.suppress(psutil.NoSuchProcess):
        proper.send_signal(signal.SIGCONT)
    client.wait()
    until(lambda: not site.farm.tasks(), 15, "its task has ended")


@pytest.mark.campaign
def test_stop_of_a_frozen_server_gives_up(site: Site) -> None:
    """A server that answers nothing is out of reach: exit 4, within some seconds."""
    server = site.serve()
    server.signal(signal.SIGSTOP)

    stop = site.run("server", "stop", seconds=30)

    server.signal(signal.SIGCONT)
    assert 4 == stop.wait()
    assert "cannot be reached from here" in stop.err


def test_a_server_that_dies_while_stop_waits_ends_the_wait(site: Site) -> None:
    """SIGKILL in the midst of a drain: `stop` returns, and the directory says that it died."""
    server = site.serve()
    site.client("--wait", 1)
    site.submit("sleep 60")
    until(site.farm.tasks, 15, "the task runs")
    drain = site.start("server", "stop", "--drain")
    server.expect("waiting for running tasks")

    server.kill()

    drain.wait(5)
    assert "died" in site.run("server", "info").err


def test_the_directory_may_be_removed_under_a_server(site: Site, tmp_path: Path) -> None:
    """A server whose directory was moved away still ends by a signal, without a traceback."""
    server = site.serve()
    client = site.client()
    site.path.rename(tmp_path / "away")

    server.signal(signal.SIGTERM)

    assert 143 == server.wait()
    assert "Traceback" not in server.err
    client.wait()
