"""Ctrl-Z, and `fg` after longer than the lease: tasks stand still, and none runs twice."""

import signal
from collections.abc import Iterator

import pytest

from tests.helpers.farm import PROMPT, Process, rarely
from tests.helpers.once import assert_never_twice, exclusive, starts_of
from tests.helpers.shell import CTRL_C, Shell
from tests.helpers.waiting import stays, until
from tests.unit.client.conftest import state_of

LEASE = "--lease", 3, "--grace", 0.5
LONGER_THAN_LEASE = 3.5
TICKS = "while [ ! -e over ]; do echo tick >> ticks.$TASK_ATTEMPT; sleep 0.02; done"
"""Shows by what it writes that it runs; in a group of its own."""

TIMED = f"timeout 60 sh -c '{TICKS}'"


@pytest.fixture
def shell(farm) -> Iterator[Shell]:
    """A shell in the directory of the farm."""
    shell = Shell(farm)
    yield shell
    shell.close()


def ticks(farm, attempt: int = 1) -> int:
    """How often the task has shown that it runs."""
    return len(farm.read(f"ticks.{attempt}"))


def stand_still(farm, seconds: float) -> None:
    """The first attempt shows nothing for so long."""
    before = ticks(farm)
    stays(lambda: ticks(farm) == before, seconds, "nothing runs")


def run_on(farm) -> None:
    """The first attempt shows that it runs."""
    before = ticks(farm)
    until(lambda: ticks(farm) > before, PROMPT, "the task runs on")


def stop(process: Process) -> None:
    """Ctrl-Z for a process whose terminal is another, or that has none."""
    process.signal(signal.SIGTSTP)
    until(lambda: state_of(process.pid) == "T", 10.0, "it has stopped")


@pytest.mark.parametrize("how", ["fg", rarely("bg fg")])
def test_ctrl_z_on_a_cluster_for_longer_than_its_lease_changes_nothing(farm, shell, how):
    """In a shell with job control, twice in a row: the tasks run on as they were."""
    farm.write_lines([exclusive(TIMED), exclusive(TICKS)])
    options = " ".join(map(str, LEASE))
    shell.type(f"$HYPERSHELL cluster tasks-0 -N 2 --clients 2 -q {options}")
    run_on(farm)

    for _ in range(2):
        shell.stop_job()
        stand_still(farm, LONGER_THAN_LEASE)
        for command in how.split():
            shell.type(command)
            run_on(farm)
    (farm.folder / "over").touch()

    assert 0 == shell.status(20.0)
    assert "error" not in shell.text
    assert "warning" not in shell.text
    assert {"1": [1], "2": [1]} == starts_of(farm)
    assert_never_twice(farm)


def test_ctrl_c_after_fg_stops_the_run_as_before(farm, shell):
    """The first lets tasks finish, the second ends them."""
    farm.write_lines([TIMED])
    shell.type("$HYPERSHELL cluster tasks-0 --grace 0.5")
    run_on(farm)
    shell.stop_job()
    stand_still(farm, 0.3)
    shell.type("fg")
    run_on(farm)

    shell.press(CTRL_C)
    shell.expect("press Ctrl-C again")
    shell.press(CTRL_C)

    assert 130 == shell.status(10.0)
    stand_still(farm, 0.2)


def test_the_time_limit_of_a_task_does_not_pass_while_it_stands_still(farm):
    """Nor is the pause part of its duration."""
    cluster = farm.start_cluster([f"{TICKS}; exit 3"], "-W", 3, *LEASE)
    run_on(farm)

    stop(cluster)
    stand_still(farm, LONGER_THAN_LEASE)
    cluster.signal(signal.SIGCONT)
    run_on(farm)
    (farm.folder / "over").touch()

    assert 1 == cluster.wait()
    status, duration = (
        farm.run("list", "exit_status", "duration", "--format", "csv").out.split()[-1].split(b",")
    )
    assert 3 == int(status)
    assert float(duration) < LONGER_THAN_LEASE


@pytest.mark.campaign
def test_a_client_from_elsewhere_keeps_its_lease_while_a_cluster_stands_still(farm):
    """It stops its task when the lease ends; after that the task begins elsewhere."""
    hangs = "if [ $TASK_ATTEMPT = 1 ]; then sleep 60; fi"
    cluster = farm.start_cluster([TICKS, exclusive(hangs, "guest")], *LEASE, "-v")
    run_on(farm)
    guest = farm.start_client("--wait", 3, port=cluster.port)
    farm.wait_for_lines("starts", 1)

    stop(cluster)
    code = guest.wait(20)
    cluster.signal(signal.SIGCONT)
    run_on(farm)
    (farm.folder / "over").touch()

    assert (6, 0) == (code, cluster.wait(20))
    assert {"guest": [1, 2]} == starts_of(farm)
    assert_never_twice(farm)


def test_nothing_is_left_of_a_cluster_that_is_killed_while_it_stands_still(farm):
    """Its clients end, and what stands still is ended before it can run again."""
    cluster = farm.start_cluster([TIMED], *LEASE)
    run_on(farm)
    stop(cluster)
    before = ticks(farm)

    cluster.kill()

    farm.wait_until_gone()
    assert before == ticks(farm)


@pytest.mark.campaign
def test_a_client_that_was_stopped_for_less_than_its_lease_runs_on(farm):
    """Ctrl-Z and fg, in its own terminal: it and its tasks stand still meanwhile."""
    server = farm.start_server([exclusive(TIMED)], "--lease", 20)
    client = farm.start_client()
    run_on(farm)

    stop(client)
    proper = client.client_proper().pid
    assert "T" == state_of(proper)
    stand_still(farm, 1.0)
    client.signal(signal.SIGCONT)
    run_on(farm)
    (farm.folder / "over").touch()

    assert [0, 0] == [server.wait(), client.wait()]
    assert {"1": [1]} == starts_of(farm)


def test_a_client_that_was_stopped_past_its_lease_ends_its_tasks_as_they_stand(farm):
    """Another runs them by then: they must not run again, not even to see that they are to end."""
    server = farm.start_server([exclusive(f"trap '' TERM; {TIMED}", "x$TASK_ATTEMPT")], *LEASE)
    stopped = farm.start_client()
    run_on(farm)
    stop(stopped)
    before = ticks(farm)
    other = farm.start_client()
    until(lambda: ticks(farm, 2), 20.0, "the task runs elsewhere")

    stopped.signal(signal.SIGCONT)
    stopped.expect("joined again")
    (farm.folder / "over").touch()

    assert [0, 0, 0] == [server.wait(), other.wait(), stopped.wait()]
    assert before == ticks(farm)
