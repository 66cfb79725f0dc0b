"""Ctrl-C, TERM, HUP and closed outputs: no orphan, no traceback, no port held."""

import os
import pty
import signal
import socket
import subprocess

import pytest

from tests.helpers.farm import Farm, Process, rarely
from tests.helpers.waiting import stays, until

WAITING_TASK = "echo >> started; until test -e go; do sleep 0.02; done; echo >> done"


def start_pair(farm: Farm, *options: object) -> tuple[Process, Process]:
    """A server of two tasks that wait, and ten more, and a client that runs the two."""
    server = farm.start_server([WAITING_TASK] * 2 + ["echo >> more"] * 10, "--grace", 1, *options)
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("started", 2)
    return server, client


def let_go(farm: Farm) -> None:
    """Let the tasks that wait end."""
    (farm.folder / "go").touch()


def assert_port_is_free(farm: Farm) -> None:
    """Another server can have the port at once."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", farm.port))
        probe.listen()


# The server.


@pytest.mark.usefixtures("cold")
def test_ctrl_c_once_waits_for_what_runs(farm):
    """Nothing new is started; the two are recorded; the rest is named; the client exits 0."""
    server, client = start_pair(farm)

    server.press_ctrl_c()
    server.expect(r"waiting for .*; press Ctrl-C again to stop them")
    let_go(farm)

    assert [130, 0] == [server.wait(), client.wait()]
    assert (2, 0) == (len(farm.read("done")), len(farm.read("more")))
    assert "2 succeeded, 0 failed, 0 retried, 10 unfinished" in server.err
    assert "unfinished: lines 3-12" in server.err
    assert_port_is_free(farm)


def test_ctrl_c_twice_stops_what_runs(farm):
    """Tasks are stopped within the grace, and recorded as not done."""
    server, client = start_pair(farm)

    server.press_ctrl_c()
    server.expect("press Ctrl-C again")
    server.press_ctrl_c()

    assert [130, 0] == [server.wait(5), client.wait(5)]
    assert "12 unfinished" in server.err
    assert [] == farm.tasks()
    assert_port_is_free(farm)


@pytest.mark.usefixtures("cold")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_deadly_signal_stops_what_runs(farm, number):
    """128 and its number; clients are told, and leave with 0."""
    server, client = start_pair(farm)

    server.signal(number)

    assert [128 + number, 0] == [server.wait(5), client.wait(5)]
    assert "12 unfinished" in server.err
    assert [] == farm.tasks()
    assert_port_is_free(farm)


def test_tasks_that_ignore_term_are_killed_after_the_grace(farm):
    """With all that they started."""
    stubborn = "trap '' TERM; echo >> started; sleep 1000 & while :; do sleep 1; done"
    server = farm.start_server([stubborn], "--grace", 1)
    client = farm.start_client()
    farm.wait_for_lines("started", 1)

    server.signal(signal.SIGTERM)

    assert [143, 0] == [server.wait(6), client.wait(6)]
    assert [] == farm.tasks()


def test_tasks_may_tidy_up_within_the_grace(farm):
    """They get TERM first."""
    tidy = "trap 'echo >> tidied; exit' TERM; echo >> started; while :; do sleep 0.05; done"
    server = farm.start_server([tidy])
    farm.start_client()
    farm.wait_for_lines("started", 1)

    server.signal(signal.SIGTERM)

    assert 143 == server.wait()
    assert 1 == len(farm.read("tidied"))


@pytest.mark.parametrize("who", ["server", "client"])
def test_under_nohup_a_hangup_changes_nothing(farm, need, who):
    """A signal that was ignored at the start stays ignored."""
    nohup = need("nohup")
    server = farm.spawn_shell(
        f"exec {nohup if who == 'server' else ''} $HYPERSHELL server - -p 0", stdin=subprocess.PIPE
    )
    assert server.popen.stdin is not None
    server.popen.stdin.write(f"{WAITING_TASK}\ntrue\n".encode())
    server.popen.stdin.close()
    farm.port = server.port
    client = farm.spawn_shell(
        f"exec {nohup if who == 'client' else ''} $HYPERSHELL client -p {farm.port}"
    )
    farm.wait_for_lines("started", 1)

    os.killpg((server if who == "server" else client).pid, signal.SIGHUP)
    let_go(farm)

    assert [0, 0] == [server.wait(), client.wait()]
    assert "2 tasks: 2 succeeded" in server.err


@pytest.mark.parametrize("number", [signal.SIGINT, rarely(signal.SIGTERM), rarely(signal.SIGHUP)])
def test_a_server_that_waits_for_input_or_clients_ends_at_once(farm, number):
    """With its input silent, and with tasks that nobody has taken."""
    silent = farm.start("server", "-", "-p", 0, stdin=subprocess.PIPE)
    lonely = farm.start_server(["true"] * 3, env=farm.elsewhere())
    silent.expect("listening on")

    for server in (silent, lonely):
        server.signal(number)

    assert [128 + number] * 2 == [silent.wait(3), lonely.wait(3)]


def test_a_signal_right_behind_another_is_not_lost(farm):
    """CONT and TERM, as batch systems send them: servers and clients end, each time."""
    servers = [farm.start_server(["true"], env=farm.elsewhere()) for _ in range(6)]
    clients = [farm.start_client("--delay-start", 60) for _ in range(6)]
    until(lambda: all(client.descendants() for client in clients), 10, "the clients are there")

    for process in servers + clients:
        process.signal(signal.SIGCONT)
        process.signal(signal.SIGTERM)

    assert {143} == {process.wait(5) for process in servers + clients}


# The client.


@pytest.mark.usefixtures("cold")
def test_ctrl_c_once_on_a_client_finishes_what_runs_and_leaves(farm):
    """Its outcomes are recorded; what it had ready runs elsewhere."""
    server, client = start_pair(farm)

    client.press_ctrl_c()
    client.expect("interrupted: waiting for running tasks; press Ctrl-C again to stop them")
    let_go(farm)

    assert 130 == client.wait()
    assert server.is_running
    other = farm.start_client()
    assert [0, 0] == [server.wait(), other.wait()]
    assert (2, 10) == (len(farm.read("done")), len(farm.read("more")))
    assert "12 succeeded, 0 failed, 0 retried" in server.err


@pytest.mark.parametrize(
    ("numbers", "code"),
    [([signal.SIGINT] * 2, 130), ([signal.SIGTERM], 143), rarely([signal.SIGHUP], 129)],
    ids=["SIGINT twice", "SIGTERM", "SIGHUP"],
)
def test_a_client_that_is_stopped_hands_its_tasks_back(farm, numbers, code):
    """They run elsewhere at once, as a further attempt."""
    server, client = start_pair(farm)

    for number in numbers:
        # Two signals within a tenth of a second are taken for one, told twice.
        stays(lambda: client.is_running, 0.15, "the client is running")
        client.signal(number)
        client.expect("leaving")
    let_go_of = farm.start_client("-N", 2)
    code_of_client = client.wait(5)
    farm.wait_for_lines("started", 4)
    let_go(farm)

    assert code == code_of_client
    assert [0, 0] == [server.wait(), let_go_of.wait()]
    assert "12 succeeded, 0 failed" in server.err


def test_a_client_that_waits_for_a_server_ends_at_once(farm):
    """SIGINT and SIGTERM, before it has joined."""
    port = farm.free_port()
    clients = [farm.start_client(port=port), farm.start_client("--delay-start", 60, port=port)]
    clients[0].expect("waiting for the server")
    until(clients[1].descendants, 5, "the client is there")

    clients[0].press_ctrl_c()
    clients[1].signal(signal.SIGTERM)

    assert [130, 143] == [client.wait(3) for client in clients]


# A terminal.


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_on_a_terminal_reaches_a_cluster_once(farm, need, times):
    """Once: what runs ends. Twice: it is stopped. The terminal tells all processes at once."""
    master, slave = pty.openpty()
    path = farm.write_lines([WAITING_TASK] * 2)
    cluster = farm.spawn_shell(
        f"exec {need('setsid')} -c $HYPERSHELL cluster {path.name} -N 2 --grace 1",
        stdin=slave,
        start_new_session=False,  # else setsid would go to the background
    )
    os.close(slave)
    farm.wait_for_lines("started", 2)

    os.write(master, b"\x03")
    cluster.expect("press Ctrl-C again")
    if times == 2:
        os.write(master, b"\x03")
    else:
        let_go(farm)

    assert 130 == cluster.wait(5)
    assert (2 if times == 1 else 0) == len(farm.read("done"))
    assert ("2 succeeded" if times == 1 else "2 unfinished") in cluster.err
    os.close(master)


# Outputs that are closed.


def test_a_reader_of_failed_lines_that_goes_away_is_no_failure(farm):
    """`server --print | head -n 1`: the run goes on; exit 1 for the tasks that failed."""
    reader = farm.spawn(["head", "-n", "1"], stdin=subprocess.PIPE)
    lines = [f"echo >> ran; false {n}" for n in range(50)]
    server = farm.start_server(lines, "--print", stdout=reader.popen.stdin)
    assert reader.popen.stdin is not None
    reader.popen.stdin.close()

    client = farm.start_client()

    assert [1, 0, 0] == [server.wait(), client.wait(), reader.wait()]
    assert b"echo >> ran; false 0\n" == reader.out
    assert 50 == len(farm.read("ran"))


@pytest.mark.parametrize(
    "closed", [*(rarely(one) for one in (">&-", "2>&-", "<&-")), ">&- 2>&- <&-"]
)
def test_a_server_may_be_started_with_outputs_closed(farm, closed):
    """The run is the same; only nobody hears of it."""
    path = farm.write_lines(["echo >> ran", "echo >> ran; false"])
    port = farm.free_port()

    server = farm.spawn_shell(f"exec $HYPERSHELL server {path.name} -p {port} -f failed {closed}")
    client = farm.start_client()

    assert [1, 0] == [server.wait(), client.wait()]
    assert ["echo >> ran; false"] == farm.read("failed")
    assert 2 == len(farm.read("ran"))
