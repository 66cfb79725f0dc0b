"""Server, supervisor and client are killed at one instant: the next server need not wait.

Nor does a server that lives while a client of its machine and its supervisor are killed. What such
clients leave running is ended before anything of it runs again.
"""

import contextlib
import random
import shlex
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from hypershell.client.trace_file import trace_directory
from tests.helpers.farm import PROGRAM, Farm, Process, children, kill_all, rarely
from tests.helpers.once import assert_never_twice, exclusive, starts_of
from tests.helpers.waiting import until

LEASE = 25
QUICKLY = 12.0
"""Seconds: far less than the lease, also where each start takes some of them."""

HANGS = "test $TASK_ATTEMPT -gt 1 || sleep 60"


@pytest.fixture(autouse=True)
def _flock(need) -> None:
    need("flock")


def freeze_and_kill(processes: Iterable[psutil.Process]) -> None:
    """All are stopped first: none of them sees another die."""
    victims = list(processes)
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    kill_all(victims)
    psutil.wait_procs(victims, 5)


def ours(farm: Farm) -> list[psutil.Process]:
    """The processes of a farm that are no tasks."""
    tasks = {process.pid for process in farm.tasks()}
    return [process for process in farm.alive() if process.pid not in tasks]


def resume(farm: Farm, verb: str = "cluster", *options: object) -> float:
    """Run the tasks that are left, to their end; how many seconds that took."""
    began = time.monotonic()
    again = farm.start(verb, farm.folder / "tasks-0", "--resume", "-v", *options)
    assert 0 == again.wait(60), again.err
    return time.monotonic() - began


def said(farm: Farm) -> str:
    """What the program that was started last has said."""
    return farm.processes[-1].err


def test_a_run_of_which_nothing_is_left_goes_on_at_once(farm):
    """What had begun is another attempt and no loss; what had not is none."""
    lines = [exclusive(HANGS)] * 2 + [exclusive("true")] * 8
    farm.start_cluster(lines, "-N", 2, "--lease", LEASE)
    farm.wait_for_lines("starts", 2)

    freeze_and_kill(farm.alive())
    assert not farm.processes[0].is_running
    seconds = resume(farm, "cluster", "-N", 2, "--max-lost", 1)

    assert seconds < QUICKLY
    starts = starts_of(farm)
    assert [[1, 2]] * 2 + [[1]] * 8 == [starts[str(number)] for number in range(1, 11)]
    assert "of the previous server has ended; rescheduling 2 tasks it had begun" in said(farm)
    assert "10 succeeded, 0 failed" in said(farm)
    assert_never_twice(farm)


@pytest.mark.parametrize("way", ["cluster", rarely("server")])
def test_tasks_that_live_on_are_ended_before_they_run_again(farm, way):
    """By TERM, or by KILL, in whatever session: each holds its lock as long as it lives."""
    left = exclusive("test $TASK_ATTEMPT -gt 1 || setsid sleep 60")
    stubborn = exclusive("test $TASK_ATTEMPT -gt 1 || { trap '' TERM; sleep 60 & sleep 61; }")
    if way == "cluster":
        farm.start_cluster([left, stubborn], "-N", 2, "--lease", LEASE)
    else:
        farm.start_server([left, stubborn], "--lease", LEASE)
        farm.start_client("-N", 2)
    farm.wait_for_lines("starts", 2)
    until(lambda: len(farm.tasks()) >= 5, 10, "the tasks with what they started")
    tasks = farm.tasks()

    freeze_and_kill(ours(farm))
    assert set(tasks).intersection(farm.alive())
    if way == "cluster":
        seconds = resume(farm, "cluster", "-N", 2)
    else:
        client = farm.start_client("-N", 2)
        seconds = resume(farm, "server", "-p", farm.port)
        assert 0 == client.wait()

    assert seconds < QUICKLY
    assert {"1": [1, 2], "2": [1, 2]} == starts_of(farm)
    assert "was killed together with its supervisor; ending" in farm.processes[-1].err
    assert not set(tasks).intersection(farm.alive())
    assert_never_twice(farm)


def test_a_task_that_nobody_may_end_is_waited_for(farm):
    """Its environment is clean, so it is nobody's; but its session says that it lives."""
    farm.start_cluster(
        [exclusive("test $TASK_ATTEMPT -gt 1 || exec env -i sleep 3")], "--lease", LEASE
    )
    farm.wait_for_lines("starts", 1)
    until(lambda: farm_sleeps(farm), 10, "the command without an environment")

    freeze_and_kill(ours(farm))
    seconds = resume(farm)

    assert seconds < QUICKLY
    assert {"1": [1, 2]} == starts_of(farm)
    assert_never_twice(farm)


def farm_sleeps(farm: Farm) -> bool:
    """Whether nothing with the farm's mark is left of the task."""
    return bool(farm.read("starts")) and not farm.tasks()


@pytest.mark.campaign
def test_what_a_task_runs_by_a_cluster_of_its_own_is_ended_with_it(farm):
    """Its tasks carry another client's id, and are below what carries ours."""
    words = shlex.join(PROGRAM)
    inner = f"echo {shlex.quote(exclusive('sleep 60', 'inner'))} | {words} cluster --no-db"
    lines = [exclusive(f"test $TASK_ATTEMPT -gt 1 || {inner}", "outer")]
    farm.start_cluster(lines, "--lease", LEASE)
    farm.wait_for_lines("starts", 2)
    cluster = psutil.Process(farm.processes[0].pid)
    (supervisor,) = children(cluster)
    outer = [cluster, supervisor, *supervisor.children()]
    tasks = farm.tasks()

    freeze_and_kill(outer)
    seconds = resume(farm)

    assert seconds < QUICKLY
    assert {"outer": [1, 2], "inner": [1]} == starts_of(farm)
    assert not set(tasks).intersection(farm.alive())
    assert_never_twice(farm)


def test_a_server_that_lives_sees_that_a_client_of_its_machine_is_gone(farm):
    """Killed together with its supervisor, its tasks live on: they are ended, and run elsewhere."""
    server = farm.start_server([exclusive(HANGS)] * 2 + [exclusive("true")] * 4)
    lost = farm.start_client("-N", 2)
    farm.wait_for_lines("starts", 2)
    tasks = farm.tasks()

    freeze_and_kill([psutil.Process(lost.pid), lost.client_proper()])
    killed_at = time.monotonic()
    other = farm.start_client("-N", 2)

    assert [0, 0] == [server.wait(QUICKLY), other.wait()], server.err
    assert time.monotonic() - killed_at < QUICKLY
    assert [[1, 2]] * 2 == [starts_of(farm)[number] for number in ("1", "2")]
    assert "was killed together with its supervisor; rescheduling its" in server.err
    assert not set(tasks).intersection(farm.alive())
    assert_never_twice(farm)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_client_that_the_server_knows_to_be_gone_leaves_no_file(farm, number):
    """Its supervisor, or itself, has said it: nobody needs to find it out."""
    farm.start_server(["sleep 60"])
    client = farm.start_client()
    until(farm.tasks, 10, "the task runs")
    assert files_of(client)

    client.client_proper().send_signal(number)

    assert client.wait() == 128 + number
    assert [] == files_of(client)


def files_of(client: Process) -> list[Path]:
    """What a client has in memory that would outlive it."""
    return list(Path(trace_directory()).glob(f"*-{client.pid}"))


@pytest.mark.campaign
def test_a_frozen_client_is_not_dead(farm):
    """It may run on, and so may its tasks: the next server waits for its lease."""
    lines = [exclusive(f"trap 'exit 1' TERM; {HANGS}")]
    server = farm.start_server(lines, "--lease", 4, "--grace", 0.5)
    frozen = farm.start_client()
    farm.wait_for_lines("starts", 1)
    frozen.client_proper().suspend()
    frozen.signal(signal.SIGSTOP)
    tasks = farm.tasks()

    server.kill()
    began = time.monotonic()
    again = farm.start(
        "server", farm.folder / "tasks-0", "--resume", "-p", farm.port, "--lease", 4, "--grace", 0.5
    )
    again.expect("waiting up to")
    other = farm.start_client()
    until(lambda: time.monotonic() - began > 2.5, 5, "a look or two")

    assert set(tasks) <= set(farm.alive())
    assert 1 == len(farm.read("starts"))
    freeze_and_kill([*tasks, psutil.Process(frozen.pid), frozen.client_proper()])
    assert [0, 0] == [again.wait(20), other.wait()], again.err


@pytest.mark.campaign
@pytest.mark.parametrize("trial", range(12))
def test_a_run_that_is_killed_at_any_moment_runs_nothing_twice(farm, trial):
    """Tasks or not, and whatever was just being started."""
    chance = random.Random(trial)
    command = chance.choice(["true", "sleep 0.02", "sleep 0.3", "env -i sleep 0.2"])
    farm.start_cluster([exclusive(command)] * 60, "-N", 3, "--lease", 6, "--grace", 0.5)
    farm.wait_for_lines("starts", chance.randrange(4, 40))

    freeze_and_kill(farm.alive() if chance.random() < 0.5 else ours(farm))
    resume(farm, "cluster", "-N", 3, "--lease", 6, "--grace", 0.5)

    assert "60 tasks: 60 succeeded, 0 failed" in said(farm)
    assert {str(number) for number in range(1, 61)} == set(starts_of(farm))
    assert_never_twice(farm)
