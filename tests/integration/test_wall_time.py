"""Clients whose time is limited, and time limits by what tasks take."""

import time

import pytest


def test_a_client_takes_no_task_that_it_cannot_finish(farm):
    """Of two rounds of 2 s, with 3 s to go, it takes one; the rest runs elsewhere."""
    line = "echo $TASK_CLIENT_ID >> clients; sleep 2"
    server = farm.start_server([line] * 4, "--expect", 2, "--grace", 0)
    short = farm.start_client("-N2", "--walltime", 5, "--leave-before", 2)
    farm.wait_for_lines("clients", 2)

    code = short.wait(6)
    ran = farm.read("clients")
    other = farm.start_client("-N2")

    assert (0, 0) == (server.wait(), other.wait())
    assert 0 == code
    assert "leaving: its wall time is nearly over" in short.err
    assert 2 == len(ran)
    assert "4 succeeded, 0 failed, 0 retried" in server.err


def test_a_task_of_no_known_length_runs_to_the_end_of_its_client_and_again_elsewhere(farm):
    """It was interrupted, which is no failure."""
    server = farm.start_server(["echo >> starts; sleep $((3 * (2 - TASK_ATTEMPT)))"], "--grace", 1)
    began = time.monotonic()
    short = farm.start_client("--walltime", 5, "--leave-before", 3)
    farm.wait_for_lines("starts", 1)

    code = short.wait(8)
    seconds = time.monotonic() - began
    other = farm.start_client()

    assert (0, 0, 0) == (code, server.wait(), other.wait())
    assert seconds < 5
    assert 2 == len(farm.read("starts"))
    assert "1 succeeded, 0 failed" in server.err


@pytest.mark.campaign
@pytest.mark.parametrize("how", ["slurm", "torque"])
def test_the_end_of_a_job_is_read_of_its_variables(farm, how):
    """The client leaves before it, and takes what fits."""
    server = farm.start_server(
        ["true # HYPERSHELL: expect:1h", "echo >> ran # HYPERSHELL: expect:1"]
    )
    variables = {
        "slurm": {"SLURM_JOB_END_TIME": f"{int(time.time()) + 12}"},
        "torque": {"PBS_WALLTIME": "12"},
    }
    start = farm.start_client if how == "slurm" else _in_new_session(farm)
    client = start("-N2", env=variables[how])
    farm.wait_for_lines("ran", 1)

    code = client.wait(20)
    farm.run("cancel", "1")

    assert 0 == code
    assert "leaving: its wall time is nearly over" in client.err
    assert 1 == server.wait()


def _in_new_session(farm):
    return lambda *words, env: farm.start_client(*words, env=env, start_new_session=True)


def test_a_limit_by_the_median_stops_what_takes_far_longer(farm):
    """From three successes on; before, there is none."""
    lines = [*["sleep 0.2"] * 5, "sleep 30", "sleep 0.3"]
    cluster = farm.start_cluster(lines, "-W", "300%", "--grace", 1)

    code = cluster.wait(20)

    assert 1 == code
    assert "6 succeeded, 1 failed" in cluster.err
    assert "timed out" in farm.run("info", 6).out.decode()


def test_a_line_may_have_a_limit_by_the_median(farm):
    """As any other limit."""
    lines = [*["sleep 0.1 # HYPERSHELL: timeout:200%"] * 5, "sleep 30 # HYPERSHELL: timeout:500%"]
    cluster = farm.start_cluster(lines, "--grace", 1)

    assert 1 == cluster.wait(20)
    assert "5 succeeded, 1 failed" in cluster.err
