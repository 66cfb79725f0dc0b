"""Runs that are held, hurried and slowed down while they go on, and how tasks are run."""

import json
import os
import time

import pytest

from tests.helpers.farm import rarely
from tests.helpers.waiting import until


def clients_of(farm) -> list[dict]:
    """The clients, as the server shows them."""
    shown = farm.run("server", "info", "--json").out
    return json.loads(shown)["clients"]


def start(farm, lines, *client_options: object):
    """A server and a client, which has joined."""
    server = farm.start_server(lines)
    client = farm.start_client(*client_options)
    client.expect("joined the server")
    return server, client


def test_a_server_that_is_paused_hands_out_nothing(farm):
    """What runs is finished; `resume` goes on."""
    server, client = start(farm, ["echo >> ran; sleep 0.3"] * 4)
    farm.wait_for_lines("ran", 1)

    codes = [farm.run("pause").wait()]
    until(lambda: b'"running": 0' in farm.run("server", "info", "--json").out, 5, "all is finished")
    before = farm.read("ran")
    info = farm.run("server", "info").out
    time.sleep(0.5)
    meanwhile = farm.read("ran")
    codes.append(farm.run("resume").wait())

    assert [0, 0, 0, 0] == [*codes, server.wait(), client.wait()]
    assert before == meanwhile
    assert len(before) < 4 == len(farm.read("ran"))
    assert b"paused" in info


def test_a_client_that_is_paused_leaves_tasks_to_others(farm):
    """Only it."""
    server, client = start(farm, ["echo $TASK_CLIENT_ID >> ran; sleep 0.2"] * 6)
    farm.wait_for_lines("ran", 1)
    (first,) = farm.read("ran")[:1]

    farm.run("pause", "--client", first)
    other = farm.start_client()
    shown = clients_of(farm)

    assert [0, 0, 0] == [server.wait(), client.wait(), other.wait()]
    assert "paused" in {each["state"] for each in shown if each["id"] == first}
    assert farm.read("ran").count(first) <= 3


def test_slots_can_be_changed_while_tasks_run(farm):
    """To more, at once, and to fewer, as tasks end."""
    server, client = start(farm, ["echo $TASK_SLOT >> slots; sleep 0.4"] * 14, "-N", 1)
    farm.wait_for_lines("slots", 1)
    (shown,) = clients_of(farm)

    more = farm.run("set-slots", shown["id"], 4)
    farm.wait_for_lines("slots", 6)
    (larger,) = clients_of(farm)
    farm.run("set-slots", shown["id"], 1)

    assert [0, 0, 0] == [more.wait(), server.wait(30), client.wait()]
    assert {"1", "2", "3", "4"} == set(farm.read("slots"))
    assert 4 == larger["slots"]
    assert ["1", "1"] == farm.read("slots")[-2:]


@pytest.mark.parametrize("words", [("pause", "--client"), ("resume", "--client"), ("set-slots",)])
def test_a_client_that_is_not_there_is_named(farm, words):
    """With how to find those that are."""
    server, client = start(farm, ["sleep 2"])
    number = ["3"] if words == ("set-slots",) else []

    asked = farm.run(*words, "01234567", *number)

    assert 2 == asked.wait()
    assert "no client 01234567 is connected" in asked.err
    assert "server info" in asked.err
    assert [0, 0] == [server.wait(), client.wait()]


def test_a_client_leaves_after_its_last_task(farm):
    """And takes no more than it starts."""
    server, client = start(farm, ["echo $TASK_CLIENT_ID >> ran"] * 40, "--max-tasks", 7, "-N", 2)

    code = client.wait()
    ran = farm.read("ran")
    other = farm.start_client()

    assert [0, 0, 0] == [code, server.wait(), other.wait()]
    assert 7 == len(ran)
    assert 40 == len(farm.read("ran"))
    assert "0 retried" in server.err


@pytest.mark.parametrize(("rate", "seconds"), [("20/s", 1.45), rarely("600/m", 2.9)])
def test_no_more_tasks_are_handed_out_than_the_rate_says(farm, rate, seconds):
    """Nor fewer, where there are clients for them."""
    began = time.monotonic()
    cluster = farm.start_cluster(["echo"] * 30, "-R", rate, "-N", 4, "-q")

    code = cluster.wait()
    took = time.monotonic() - began

    assert (0, 30) == (code, cluster.out.count(b"\n"))
    assert seconds <= took < seconds + 2.5


def test_a_prologue_is_sourced_before_each_task(farm):
    """Its variables and functions are there, and blanks in its name do no harm."""
    (farm.folder / "set up.sh").write_text('NAME=world\ngreet() { echo "hello $1"; }\n')
    lines = ["greet $NAME", "echo $NAME; false; exit 3", "x=1\\\n2; echo $x".replace("\n", "")]
    cluster = farm.start_cluster(lines, "--prologue", "set up.sh", cwd=farm.folder)

    code = cluster.wait()

    assert 1 == code
    assert {"hello world", "world", "12"} == set(cluster.out.decode().split("\n")[:-1])


def test_a_task_whose_prologue_fails_has_failed(farm):
    """It is not run without."""
    (farm.folder / "broken.sh").write_text("return 9\n")
    cluster = farm.start_cluster(["echo ran"], "--prologue", "broken.sh", cwd=farm.folder)

    assert (1, b"") == (cluster.wait(), cluster.out)
    assert b"exit status 9" in farm.run("failures").out


def test_a_shell_may_have_arguments(farm):
    """They stand before its -c."""
    lines = ["set -o | grep -E 'errexit|pipefail'"]
    cluster = farm.start_cluster(lines, "--shell", "bash -e -o pipefail")

    assert 0 == cluster.wait()
    assert [b"on", b"on"] == [line.split()[1] for line in cluster.out.splitlines()]


def test_tasks_run_with_the_niceness_that_was_asked_for(farm):
    """Beside that of their client."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    cluster = farm.start_cluster(["sleep 0.1; nice"], "--nice", 7)

    assert (0, b"%d\n" % (own + 7)) == (cluster.wait(), cluster.out)
