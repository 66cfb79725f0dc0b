"""`hyper-shell cluster`: a server and its clients on this machine, in one command."""

import signal

import pytest

from tests.helpers.farm import kill_all, rarely
from tests.helpers.waiting import until


def test_a_cluster_runs_a_file_and_exits_0(farm):
    """Output of tasks goes to standard output, the summary to standard error."""
    cluster = farm.start_cluster([f"echo {n}" for n in range(20)], "-N", 4)

    assert 0 == cluster.wait()
    assert {str(n) for n in range(20)} == set(cluster.out.decode().split())
    assert 1 == len(cluster.err.splitlines())
    assert "20 tasks: 20 succeeded, 0 failed" in cluster.err


def test_a_cluster_reads_standard_input(farm):
    """What a user of `xargs -P` types, without any file."""
    cluster = farm.spawn_shell("seq 1 9 | sed 's/^/echo /' | $HYPERSHELL cluster -N 3")

    assert 0 == cluster.wait()
    assert set("123456789") == set(cluster.out.decode().split())


def test_a_cluster_with_a_failed_task_exits_1(farm):
    """The line is in the file; what the task said is on standard error."""
    cluster = farm.start_cluster(["true", "echo alas >&2; exit 7"], "-f", "failed")

    assert 1 == cluster.wait()
    assert ["echo alas >&2; exit 7"] == farm.read("failed")
    assert "alas\n" in cluster.err


def test_printed_lines_have_standard_output_for_themselves(farm):
    """With --print tasks print to standard error."""
    cluster = farm.start_cluster(["echo out", "echo out; false"], "--print")

    assert 1 == cluster.wait()
    assert b"echo out; false\n" == cluster.out
    assert 2 == cluster.err.splitlines().count("out")


def test_several_clients_share_the_work(farm):
    """`--clients 3`: three clients, told apart by their tasks."""
    lines = ["echo $TASK_CLIENT_ID >> ids; sleep 0.3"] * 9

    code = farm.start_cluster(lines, "--clients", 3).wait()

    assert 0 == code
    assert 3 == len(set(farm.read("ids")))


def test_a_shell_and_a_place_for_output_reach_the_clients(farm):
    """`--shell PATH` runs each line, `-o PATH` is relative to where the cluster was started."""
    shell = farm.folder / "shell"
    shell.write_text('#!/bin/sh\necho my shell: "$2"\n')
    shell.chmod(0o755)

    code = farm.start_cluster(["any $words"], "--shell", shell, "-o", "out").wait()

    assert 0 == code
    assert ["my shell: any $words"] == farm.read("out")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, rarely(signal.SIGHUP)])
def test_a_cluster_that_is_ended_leaves_nothing_running(farm, number):
    """Not even by SIGKILL of its main process: clients and tasks are gone within 3 s."""
    cluster = farm.start_cluster(["touch started; sleep 1000 & sleep 1001"] * 2, "-N", 2)
    until(lambda: len(farm.tasks()) >= 6, 10, "two tasks of three processes each")

    cluster.signal(number)
    code = cluster.wait()

    assert code == (-number if number == signal.SIGKILL else 128 + number)
    farm.wait_until_gone(3)


def test_a_cluster_whose_clients_are_killed_says_so(farm):
    """It ends instead of waiting for ever, and names the lines that are left."""
    cluster = farm.start_cluster(["sleep 1000"])
    until(farm.tasks, 10, "a task")

    kill_all(cluster.descendants())

    assert 6 == cluster.wait(3)
    assert "all clients ended before the run did" in cluster.err
    assert "unfinished: line" in cluster.err
