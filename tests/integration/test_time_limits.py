"""`-W, --task-timeout`: an attempt that runs too long is stopped, and has failed."""

import pytest


def test_a_limit_of_the_run_and_one_of_a_line(farm):
    """The line's own counts before that of the run."""
    lines = ["sleep 60", "sleep 1.2 # HYPERSHELL: timeout:50", "echo quick"]

    cluster = farm.start_cluster(lines, "-N", 3, "-W", "0.4", "-f", "failed", "--joblog", "log")

    assert 1 == cluster.wait(), cluster.err
    assert ["sleep 60"] == farm.read("failed")
    log = {row.split("\t")[8]: row.split("\t")[6:8] for row in farm.read("log")[1:]}
    assert ["124", "0"] == log["sleep 60"]
    assert ["0", "0"] == log[lines[1]]


def test_it_is_retried_and_shown_as_timed_out(farm):
    """In `list`, `info` and `failures`; each attempt counts."""
    cluster = farm.start_cluster(["sleep 60"], "-W", "300ms", "-r", 1, "-v")
    assert 1 == cluster.wait(), cluster.err
    assert "failed on attempt 2: timed out" in cluster.err

    listed = farm.run("list", "state", "ending", "attempt", "--format", "plain")
    info = farm.run("info", 1)
    failures = farm.run("failures")

    assert b"failed\ttimed out\t2\n" == listed.out
    assert 2 == info.out.count(b"(timed out)")
    assert failures.out.startswith(b"cause 1: timed out, 1 task\n")


def test_a_submission_has_a_limit_of_its_own(farm):
    """Which a server with a longer one keeps to."""
    server = farm.start("server", "--forever", "-p", 0, "-W", "1h")
    farm.start_client("-N", 2, port=server.port)

    submitted = farm.run("submit", "-W", "0.3", "--", "sleep 60")
    waited = farm.run("wait", 1)

    assert b"1\n" == submitted.out
    assert 1 == waited.wait(), waited.err
    listed = farm.run("list", "ending", "timeout", "--format", "plain")
    assert b"timed out\t0.3\n" == listed.out
    assert farm.run("server", "stop").wait() == 0, server.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cluster", "-W", "soon"], "--task-timeout must be a duration"),
        (["cluster", "-W", "0"], "--task-timeout must be a duration"),
        (["submit", "--tag", "timeout:5", "--", "true"], "timeout"),
    ],
)
def test_a_wrong_limit_is_refused(farm, words, says):
    """By the name of its option, before anything is read."""
    refused = farm.start(*words)

    assert 2 == refused.wait(), refused.err
    assert says in refused.err


def test_a_wrong_limit_in_a_line_names_the_line(farm):
    """All lines before it have run."""
    cluster = farm.start_cluster(["echo one", "true # HYPERSHELL: timeout:soon", "echo two"])

    assert 3 == cluster.wait(), cluster.err
    assert "line 2" in cluster.err
    assert "`timeout` must be a duration" in cluster.err
    assert b"one\n" == cluster.out
