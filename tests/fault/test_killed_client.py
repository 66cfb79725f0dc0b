"""A client that is killed or frozen: its tasks end with it, and run again elsewhere."""

import random
import shlex
import signal
import time

import psutil
import pytest

from tests.helpers.farm import Farm, Process, rarely
from tests.helpers.once import assert_never_twice, exclusive, starts_of
from tests.helpers.waiting import stays, until

GONE_WITHIN = 2.0
AGAIN_WITHIN = 3.0
FIRST_ATTEMPT_HANGS = "test $TASK_ATTEMPT -gt 1 || { sleep 1000 & sleep 1001 & sleep 1002; }"


@pytest.fixture(autouse=True)
def _flock(need) -> None:
    need("flock")


def kill(client: Process, part: str) -> None:
    """SIGKILL to the supervisor of a client, or to the process below it that runs tasks."""
    target = psutil.Process(client.pid) if part == "supervisor" else client.client_proper()
    target.kill()


@pytest.mark.parametrize("part", ["client", "supervisor"])
def test_tasks_of_a_killed_client_are_gone_in_2_s_and_run_again_in_3(farm, part):
    """Their children die too; the other client takes over; nothing is lost."""
    server = farm.start_server([exclusive(FIRST_ATTEMPT_HANGS)] * 2)
    lost = farm.start_client("-N", 2)
    until(lambda: len(farm.tasks()) >= 8, 10, "two tasks with their children")
    before = farm.tasks()
    other = farm.start_client("-N", 2)
    other.expect("joined the server")

    kill(lost, part)
    killed_at = time.monotonic()
    until(lambda: not any(map(is_alive, before)), GONE_WITHIN, "the tasks are gone")
    farm.wait_for_lines("starts", 4, AGAIN_WITHIN - (time.monotonic() - killed_at))

    assert [0, 0] == [server.wait(), other.wait()]
    # The supervisor tells how the client died; of its own death its status tells.
    assert lost.wait() == (137 if part == "client" else -signal.SIGKILL)
    assert {"1": [1, 2], "2": [1, 2]} == starts_of(farm)
    assert_never_twice(farm)
    assert "2 tasks: 2 succeeded, 0 failed" in server.err


def is_alive(process: psutil.Process) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_left_session_and_environment_ends_before_its_task_runs_elsewhere(farm, need):
    """As what `sudo` starts: its client knows it as its own though nothing of it says so."""
    hidden = exclusive("trap '' TERM; while test $TASK_ATTEMPT = 1; do sleep 0.1; done")
    told = "HOME=$HOME TASK_ID=$TASK_ID TASK_ATTEMPT=$TASK_ATTEMPT PATH=$PATH"
    line = f"{need('setsid')} env -i {told} sh -c {shlex.quote(hidden)}; :"
    server = farm.start_server([line], "--grace", 1)
    left = farm.start_client()
    farm.wait_for_lines("starts", 1)
    other = farm.start_client()
    other.expect("joined the server")

    left.signal(signal.SIGTERM)

    assert [0, 0, 143] == [server.wait(), other.wait(), left.wait()]
    assert {"1": [1, 2]} == starts_of(farm)
    assert_never_twice(farm)


def test_what_a_task_put_into_a_session_of_its_own_dies_with_a_killed_client(farm, need):
    """The supervisor finds it all the same."""
    server = farm.start_server([f"{need('setsid')} sleep 1003 & sleep 1004"])
    lost = farm.start_client()
    until(lambda: len(farm.tasks()) >= 3, 10, "the task and its children")

    lost.client_proper().kill()

    until(lambda: not farm.tasks(), GONE_WITHIN, "all is gone")
    assert 137 == lost.wait()
    assert server.is_running


@pytest.mark.parametrize("part", ["client", rarely("supervisor")])
def test_one_of_two_clients_is_killed_and_no_task_is_lost(farm, part):
    """In the middle of a run: all tasks end, each succeeded, none ran twice at once."""
    server = farm.start_server([exclusive("sleep 0.05")] * 60)
    lost, other = farm.start_client("-N", 2), farm.start_client("-N", 2)
    farm.wait_for_lines("ends", 20)

    kill(lost, part)

    assert [0, 0] == [server.wait(30), other.wait()]
    assert "60 tasks: 60 succeeded, 0 failed" in server.err
    assert 60 == len(starts_of(farm))
    assert_never_twice(farm)


def test_a_task_that_outlives_three_clients_is_failed_with_that_reason(farm):
    """`--max-lost 2`: the second client that dies under it is the last."""
    server = farm.start_server(["kill -9 $PPID; sleep 1000"], "--max-lost", 2, "-v", "--print")

    first, second = farm.start_client(), farm.start_client()

    assert 1 == server.wait()
    assert [137, 137] == [first.wait(), second.wait()]
    assert b"kill -9 $PPID; sleep 1000\n" == server.out
    assert "task 1 (line 1) failed on attempt 2: its client died or was cut off" in server.err


def test_a_frozen_client_loses_its_tasks_before_another_has_them(farm):
    """SIGSTOP for longer than the lease: the supervisor kills the tasks first."""
    server = farm.start_server([exclusive(FIRST_ATTEMPT_HANGS)], "--lease", 3, "--grace", 0.5)
    frozen = farm.start_client()
    farm.wait_for_lines("starts", 1)
    other = farm.start_client()
    other.expect("joined the server")

    frozen.client_proper().suspend()

    assert [0, 0] == [server.wait(10), other.wait()]
    assert {"1": [1, 2]} == starts_of(farm)
    assert_never_twice(farm)
    assert 137 == frozen.wait()


def test_a_client_that_was_frozen_for_less_than_its_lease_goes_on(farm):
    """SIGSTOP and SIGCONT: nothing is lost, and nothing runs twice."""
    server = farm.start_server([exclusive("sleep 0.02")] * 40, "--lease", 8, "--grace", 0.5)
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ends", 10)

    client.client_proper().suspend()
    stays(lambda: server.is_running, 0.5, "the server waits")
    client.client_proper().resume()

    assert [0, 0] == [server.wait(), client.wait()]
    assert {1} == {len(attempts) for attempts in starts_of(farm).values()}


@pytest.mark.campaign
def test_a_frozen_supervisor_changes_nothing(farm):
    """The client runs on; its end is told when the supervisor thaws."""
    server = farm.start_server(["sleep 0.05"] * 20)
    client = farm.start_client()
    client.expect("joined the server")

    client.signal(signal.SIGSTOP)
    code = server.wait()
    client.signal(signal.SIGCONT)

    assert [0, 0] == [code, client.wait()]


@pytest.mark.campaign
@pytest.mark.parametrize("trial", range(10))
def test_clients_are_killed_at_any_moment_and_no_task_is_lost(farm, trial):
    """One client after another, in either part, at random moments, and frozen ones among them."""
    chance = random.Random(trial)
    server = farm.start_server(
        [exclusive("sleep 0.03")] * 300, "--lease", 2, "--grace", 0.3, "--max-lost", 100
    )
    steady = farm.start_client()
    for _ in range(6):
        victim = farm.start_client("-N", 2)
        victim.expect("joined the server")
        stays(lambda: True, chance.uniform(0, 0.5), "")
        end_somehow(farm, victim, chance.choice(["client", "supervisor", "freeze"]))

    assert [0, 0] == [server.wait(60), steady.wait()]
    assert "300 tasks: 300 succeeded, 0 failed" in server.err
    assert 300 == len(starts_of(farm))
    assert_never_twice(farm)


def end_somehow(farm: Farm, victim: Process, way: str) -> None:
    """Kill a part of a client, or freeze it, which its lease will end."""
    if way == "freeze":
        victim.client_proper().suspend()
    else:
        kill(victim, way)
