"""A signal that is sent to all, in any order: tasks, client, supervisor, perhaps the server.

As batch systems, terminals that hang up and `kill` of a whole tree do it. Tasks die of it before or
after their client hears it: they were interrupted, and did not fail.
"""

import contextlib
import itertools
import signal
import sqlite3
import time

import psutil
import pytest

from hypershell.core.ending import Ending
from tests.helpers.farm import Farm, Process, children, rarely
from tests.helpers.once import assert_never_twice, exclusive, starts_of
from tests.helpers.waiting import stays, until

TASK = exclusive("until test -e go; do sleep 0.02; done")
"""A shell that dies of any signal, and a child that may outlive it for a moment."""

KINDS = ("tasks", "client", "supervisor", "server")


def parts_of(root: Process) -> dict[str, list[psutil.Process]]:
    """The processes of a cluster or a client, by what they are."""
    found: dict[str, list[psutil.Process]] = {kind: [] for kind in KINDS}
    top = psutil.Process(root.pid)
    supervisor = top
    if "cluster" in top.cmdline():
        found["server"] = [top]
        supervisor = children(top)[0]
    client = supervisor.children()[0]
    found["supervisor"], found["client"] = [supervisor], [client]
    found["tasks"] = client.children(recursive=True)
    return found


def signal_all(root: Process, number: int, order: tuple[str, ...], gap: float) -> None:
    """The signal to each process, the kinds one after the other, so many seconds apart."""
    parts = parts_of(root)
    for kind in order:
        for process in parts[kind]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if gap:
            stays(lambda: True, gap, "")


def endings(farm: Farm) -> set[Ending]:
    """How all attempts that are recorded ended."""
    path = farm.folder / ".hyper-shell" / "hyper-shell.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        return {Ending(row[0]) for row in database.execute("select distinct ending from attempts")}


def finish(farm: Farm, lines, number: int, *options: object) -> None:
    """Let the tasks that wait end in a further run: each succeeds, none ran twice."""
    (farm.folder / "go").touch()
    server = farm.start_server(lines, "--resume", "--grace", 1, *options)
    client = farm.start_client("-N", 4)

    assert [0, 0] == [server.wait(), client.wait()], server
    assert f"{number} succeeded, 0 failed" in server.err
    assert_none_went_wrong(farm, number)


def assert_none_went_wrong(farm: Farm, number: int) -> None:
    """Each task ended once, by itself, and never ran twice at the same time."""
    assert not endings(farm) & {Ending.SIGNALED, Ending.LOST}
    assert_never_twice(farm)
    assert number == len(farm.read("ends"))
    assert number == len(starts_of(farm))


NUMBERS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP}
ALL_ORDERS = list(itertools.permutations(KINDS))
EVERYDAY = [
    ("TERM", ("tasks", "client", "supervisor", "server"), 0.0),
    ("HUP", ("server", "supervisor", "client", "tasks"), 0.0),
]
GAPS = (0.0, 0.003, 0.1)


def shown(value: object) -> str | None:
    """An order, in the name of a test."""
    return "_".join(value) if isinstance(value, tuple) else None


@pytest.mark.parametrize(
    ("name", "order", "gap"),
    [
        *EVERYDAY,
        *(rarely(name, order, gap) for name in NUMBERS for order in ALL_ORDERS for gap in GAPS),
    ],
    ids=shown,
)
def test_a_signal_to_the_tree_of_a_cluster_fails_no_task(farm, name, order, gap):
    """It ends with the status of the signal, and `--resume` runs all of them."""
    lines = farm.write_lines([TASK] * 4)
    cluster = farm.start_cluster(lines, "-N", 4, "--grace", 1)
    farm.wait_for_lines("starts", 4)

    signal_all(cluster, NUMBERS[name], order, gap)

    assert 128 + NUMBERS[name] == cluster.wait()
    assert " 0 failed" in cluster.err
    finish(farm, lines, 4)


CLIENT_KINDS = KINDS[:3]


@pytest.mark.parametrize(
    ("name", "order", "gap"),
    [
        ("TERM", CLIENT_KINDS, 0.0),
        ("INT", ("supervisor", "tasks"), 0.0),
        *(
            rarely(name, order, gap)
            for name in NUMBERS
            for order in [
                *itertools.permutations(CLIENT_KINDS),
                ("tasks", "client"),
                ("client", "tasks"),
                ("tasks", "supervisor"),
            ]
            for gap in GAPS
        ),
    ],
    ids=shown,
)
def test_a_signal_to_the_tree_of_a_client_fails_no_task(farm, name, order, gap):
    """Its tasks go to another client of the server, which heard nothing."""
    server = farm.start_server([TASK] * 4, "--grace", 1)
    client = farm.start_client("-N", 4)
    farm.wait_for_lines("starts", 4)

    signal_all(client, NUMBERS[name], order, gap)

    assert 128 + NUMBERS[name] == client.wait()
    (farm.folder / "go").touch()
    other = farm.start_client("-N", 4)
    assert [0, 0] == [server.wait(), other.wait()], server
    assert "4 succeeded, 0 failed, 0 retried" in server.err
    assert_none_went_wrong(farm, 4)


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("TERM", ("server", "tasks")),
        *(
            rarely(name, order)
            for name in NUMBERS
            for order in [("server", "tasks"), ("tasks", "server")]
        ),
    ],
)
def test_a_signal_to_a_server_and_to_tasks_fails_no_task(farm, name, order):
    """The client hears of it from the server alone."""
    lines = farm.write_lines([TASK] * 4)
    server = farm.start_server(lines, "--grace", 1)
    client = farm.start_client("-N", 4)
    farm.wait_for_lines("starts", 4)

    for kind in order:
        for process in parts_of(client)[kind] if kind == "tasks" else [psutil.Process(server.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(NUMBERS[name])

    assert 128 + NUMBERS[name] == server.wait()
    assert " 0 failed" in server.err
    assert 0 == client.wait()
    finish(farm, lines, 4)


@pytest.mark.parametrize("part", ["server", rarely("supervisor")])
def test_the_death_of_what_started_a_client_is_a_signal_to_it(farm, part):
    """Tasks die by TERM, then the cluster or the supervisor is killed: its client is told."""
    lines = farm.write_lines([TASK] * 4)
    cluster = farm.start_cluster(lines, "-N", 4, "--lease", 4, "--grace", 1)
    farm.wait_for_lines("starts", 4)

    parts = parts_of(cluster)
    for process in [*parts["tasks"]]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    parts[part][0].kill()

    cluster.wait()
    until(lambda: not farm.alive(), 8, "all has ended")
    finish(farm, lines, 4, "--lease", 4)


def test_a_task_that_ends_by_term_of_its_own_has_failed(farm):
    """A second later, with the status that it has; nothing is retried for it."""
    began = time.monotonic()
    cluster = farm.start_cluster(
        ["exit 143", "kill -TERM $$", "exit 1", "true"], "-N", 4, "-f", "f"
    )

    assert 1 == cluster.wait()
    assert time.monotonic() - began > 1.0
    assert "1 succeeded, 3 failed, 0 retried" in cluster.err
    assert ["exit 1", "exit 143", "kill -TERM $$"] == sorted(farm.read("f"))


@pytest.mark.campaign
def test_many_tasks_that_exit_with_143_take_a_second_longer(farm):
    """Their slots are free at once."""
    seconds = {}
    for status in (1, 143):
        began = time.monotonic()
        assert 1 == farm.start_cluster([f"exit {status}"] * 1000, "-N", 4, "--no-db").wait(120)
        seconds[status] = time.monotonic() - began

    assert seconds[143] < 1.2 * seconds[1] + 1.0, seconds
