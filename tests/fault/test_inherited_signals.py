"""Programs that are started with signals blocked or ignored by whatever started them."""

import signal
import sys

import pytest

from tests.helpers.farm import PROGRAM, Farm, Process, rarely

WRAPPER = """\
import os, signal, sys
for name in sys.argv[2].split(","):
    number = getattr(signal, "SIG" + name)
    if sys.argv[1] == "ignored":
        signal.signal(number, signal.SIG_IGN)
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
os.execvp(sys.argv[3], sys.argv[3:])
"""

STATES = [
    ("ignored", "CHLD"),
    ("blocked", "CHLD,TERM,INT,HUP"),
    *(
        rarely(how, name)
        for how in ("ignored", "blocked")
        for name in ("CHLD", "TERM", "PIPE", "ALRM", "USR1", "IO", "CONT", "TTOU", "TERM,CHLD,PIPE")
    ),
    rarely("ignored", "HUP,INT,QUIT"),
    rarely("blocked", "HUP,INT,QUIT,SEGV,XFSZ,TSTP,WINCH"),
]


def start(farm: Farm, how: str, names: str, *words: object) -> Process:
    """Start `hyper-shell WORDS` with these signals ignored or blocked."""
    command = [sys.executable, "-c", WRAPPER, how, names, *PROGRAM, *map(str, words)]
    return farm.spawn(command)


@pytest.mark.parametrize(("how", "names"), STATES)
def test_a_run_is_the_same_whatever_is_inherited(farm, how, names):
    """`cluster`, `server` and `client`: tasks run, are reaped, and have an empty mask."""
    look = "grep SigBlk /proc/self/status >> masks; (exit 3); test $? = 3"
    lines = farm.write_lines([look] * 4)

    cluster = start(farm, how, names, "cluster", lines, "-N", 2, "--no-db")
    assert 0 == cluster.wait(), cluster
    farm.free_port()
    server = start(farm, how, names, "server", lines, "-p", farm.port)
    client = start(farm, how, names, "client", "-p", farm.port)
    assert [0, 0] == [server.wait(), client.wait()], (server, client)
    assert {"SigBlk:\t0000000000000000"} == set(farm.read("masks"))


@pytest.mark.campaign
@pytest.mark.parametrize(("how", "names"), STATES[:2])
def test_run_is_the_same_whatever_is_inherited(farm, how, names):
    """It ends with the status of its command, and a server by TERM."""
    server = start(farm, how, names, "server", "--forever", "-p", 0)
    farm.port = server.port
    client = farm.start_client()

    run = start(farm, how, names, "run", "--", "exit 7")

    assert 7 == run.wait()
    server.signal(signal.SIGTERM)
    assert [143, 0] == [server.wait(), client.wait()]


@pytest.mark.parametrize(("how", "names"), [("blocked", "TERM"), rarely("ignored", "TERM")])
def test_term_is_heard_whatever_is_inherited(farm, how, names):
    """By a cluster and its client, and by a client that waits for its server."""
    lines = farm.write_lines(["echo >> starts; sleep 100"])
    cluster = start(farm, how, names, "cluster", lines, "--grace", 1)
    client = start(farm, how, names, "client", "-p", farm.free_port())
    farm.wait_for_lines("starts", 1)
    client.expect("waiting for the server")

    for process in (cluster, client):
        process.signal(signal.SIGTERM)

    assert [143, 143] == [cluster.wait(5), client.wait(5)]


@pytest.mark.campaign
def test_a_client_ends_each_time_with_sigchld_blocked(farm):
    """Many times: it hung now and then."""
    lines = farm.write_lines(["true"] * 4)
    for _ in range(20):
        assert 0 == start(farm, "blocked", "CHLD", "cluster", lines, "-N", 2, "--no-db").wait(20)


def test_what_nohup_ignores_stays_ignored_by_tasks_too(farm):
    """And a child that is in the background of a shell still hears Ctrl-C."""
    look = (
        "python3 -c 'from signal import *; "
        'print(*("ignored" if getsignal(n) is SIG_IGN else "heard" for n in (1, 2)))\' >> seen'
    )
    lines = farm.write_lines([look])

    assert 0 == start(farm, "ignored", "HUP,INT", "cluster", lines, "--no-db").wait()

    assert ["ignored", "heard"] == farm.read("seen")[0].split()
