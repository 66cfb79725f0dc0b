"""What an end waits for may never come: each wait has a bound, and a second signal ends it."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.helpers.components import lacks
from tests.helpers.farm import PROGRAM, Farm, Process, children, rarely
from tests.helpers.waiting import stays, until

GRACE = 1


def wait_for_client(cluster: Process) -> psutil.Process:
    """The supervisor of the one client of a cluster, once the client is there."""
    supervisor = until(lambda: children(psutil.Process(cluster.pid)), 10, "a supervisor")[0]
    until(supervisor.children, 10, "a client")
    return supervisor


def heeds(process: Process, number: int) -> bool:
    """Whether a process has taken this signal into its own hands: before, it ends by it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    blocked = re.search(r"^SigBlk:\s*(\w+)$", status, re.MULTILINE)
    return blocked is not None and bool(int(blocked[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, rarely(signal.SIGINT), rarely(signal.SIGHUP)])
def test_a_cluster_whose_client_opens_a_pipe_without_a_reader_ends(farm, number):
    """It waits for the reader as a shell would, and for nothing once it is told to end."""
    os.mkfifo(farm.folder / "pipe")
    cluster = farm.start_cluster(["true"], "--no-db", "-o", "pipe")
    client = wait_for_client(cluster).children()[0]
    until(lambda: client.num_threads() > 1, 10, "it opens the pipe")
    until(lambda: heeds(cluster, number), 10, "the cluster, which is slower, heeds signals")

    cluster.signal(number)

    assert 128 + number == cluster.wait(10)


def test_a_client_that_opens_a_pipe_without_a_reader_ends(farm):
    """The same alone."""
    os.mkfifo(farm.folder / "pipe")
    client = farm.start_client("-o", "pipe", port=farm.free_port())
    until(lambda: client.client_proper().num_threads() > 1, 10, "it waits")

    client.signal(signal.SIGTERM)

    assert 143 == client.wait(6)


@pytest.mark.parametrize("signals", [2, rarely(1)])
def test_a_cluster_whose_supervisor_is_stopped_ends(farm, signals):
    """A second signal at once; without it a little later. Nothing is left."""
    cluster = farm.start_cluster(["echo >> starts; sleep 100"], "--grace", GRACE)
    farm.wait_for_lines("starts", 1)
    wait_for_client(cluster).suspend()

    cluster.signal(signal.SIGTERM)
    cluster.expect("unfinished: line 1")
    if signals == 2:
        stays(lambda: cluster.is_running, 1.2, "it waits for its client")
        cluster.signal(signal.SIGTERM)

    assert 143 == cluster.wait(5 if signals == 2 else GRACE + 14)
    farm.wait_until_gone()


@pytest.mark.campaign
@pytest.mark.parametrize("part", ["client", "supervisor"])
def test_a_client_of_which_a_part_is_stopped_ends(farm, part):
    """TERM to its supervisor; of one that is stopped itself, the client leaves when told to."""
    server = farm.start_server(["echo >> starts; sleep 100"], "--grace", GRACE)
    client = farm.start_client()
    farm.wait_for_lines("starts", 1)
    proper = client.client_proper()

    if part == "client":
        proper.suspend()
        client.signal(signal.SIGTERM)
        assert 137 == client.wait(GRACE + 12)
    else:
        client.signal(signal.SIGSTOP)
        proper.terminate()
        until(lambda: proper.status() == psutil.STATUS_ZOMBIE, GRACE + 8, "the client has ended")
        client.signal(signal.SIGCONT)
        assert 143 == client.wait(3)
    assert server.is_running


@pytest.fixture
def without_kill(need) -> list[str]:
    """Words before a command that take from it the right to signal other users' processes."""
    setpriv = need("setpriv")
    if os.getuid() != 0:
        lacks("another user's process can only be started as root")
    return [setpriv, "--bounding-set=-kill"]


AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"


@pytest.mark.parametrize("line", [f"{AS_NOBODY} sleep 100", f"{AS_NOBODY} sleep 100 & sleep 0.5"])
def test_a_process_of_another_user_holds_up_no_end(farm, without_kill, line):
    """It cannot be ended, which is said; the run ends all the same, and uses no processor."""
    lines = farm.write_lines([f"echo >> starts; {line}"])
    options = ["cluster", str(lines), "--no-db", "--grace", str(GRACE)]
    cluster = farm.spawn([*without_kill, *PROGRAM, *options])
    farm.wait_for_lines("starts", 1)
    until(lambda: strangers(farm), 10, "a process of another user")

    if "&" not in line:
        cluster.signal(signal.SIGTERM)
    began = time.monotonic()

    assert cluster.wait(GRACE + 10) == (0 if "&" in line else 143)
    assert time.monotonic() - began < GRACE + 10
    assert "cannot end what runs as another user" in cluster.err
    for process in strangers(farm):
        process.kill()


def strangers(farm: Farm) -> list[psutil.Process]:
    """The processes of another user that this farm started."""
    return [process for process in farm.alive() if process.uids().real == 65534]


def test_a_signal_ends_the_wait_for_a_reader_of_failed_lines(farm):
    """A reader that is stopped gets the grace time, once the run was told to end."""
    reader = farm.spawn(["sleep", "100"], stdin=-1)
    lines = [f"false {'x' * 4000}"] * 60
    server = farm.start_server(lines, "--print", "--grace", GRACE, stdout=reader.popen.stdin)
    client = farm.start_client("-N", 4)
    assert 0 == client.wait()

    server.signal(signal.SIGTERM)

    assert server.wait(GRACE + 6) in (1, 143)


@pytest.fixture
def full_pipe(farm):
    """A named pipe that nobody reads, and that has no room; opened to write to."""
    path = farm.folder / "messages"
    os.mkfifo(path)
    both_ends = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(both_ends, b"." * 4096)
    write_end = os.open(path, os.O_WRONLY)
    yield write_end
    os.close(both_ends)
    os.close(write_end)


@pytest.mark.parametrize("where", ["stderr", rarely("log file")])
def test_a_cluster_whose_messages_nobody_reads_runs_and_ends(farm, full_pipe, where):
    """As below a terminal that is stopped: the tasks do not wait for it, and one signal ends it."""
    lines = farm.write_lines(["echo >> runs"] * 5 + ["false", "echo >> runs; sleep 100"])
    options = ["cluster", str(lines), "--no-db", "-v", "--grace", str(GRACE)]
    if where == "log file":
        options += ["--log-file", "messages"]
    cluster = farm.spawn([*PROGRAM, *options], stderr=full_pipe)
    farm.wait_for_lines("runs", 6)

    cluster.signal(signal.SIGTERM)

    assert 143 == cluster.wait(GRACE + 10)
    farm.wait_until_gone()
