"""The farm in simulated time: seeds, what was found before, and that faults are found."""

import logging
import os
import subprocess
import sys

import pytest

from tests.sim import patched
from tests.sim.plan import make_plan
from tests.sim.simulation import quiet, run_plan, simulated

FOUND = patched.HERE / "found"


def simulate(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """What `make sim` does with these arguments."""
    command = [sys.executable, "-m", "tests.sim.run", *map(str, arguments)]
    return subprocess.run(
        command, cwd=patched.ROOT, env={**os.environ}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("kind", "number"), [("--memory", 150), ("--database", 30)])
def test_no_seed_breaks_a_rule(kind, number):
    """The first of them, which are the same until plans are made in another way."""
    done = simulate(kind, "--seeds", f"0:{number}", "--jobs", 1)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_found_stays_mended(path):
    """Each is a plan that once broke a rule, as small as it could be made."""
    done = simulate("--plan", path)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.fixture
def silence():
    """No log, for as long as a world runs in this process."""
    quiet()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("silence")
@pytest.mark.parametrize("database", [False, True])
def test_a_seed_gives_the_same_world_each_time(database):
    """To the last step: else a failure could not be looked at."""
    timelines: list[list[tuple[float, str, str]]] = [[], []]

    with simulated(database):
        for timeline in timelines:
            run_plan(make_plan(11, database), lambda *what, to=timeline: to.append(what))

    assert timelines[0] == timelines[1] != []


@pytest.mark.parametrize("name", patched.names())
def test_each_fault_can_be_put_back(name, tmp_path):
    """The patch still fits the program."""
    patched.apply(name, tmp_path)


@pytest.mark.parametrize("name", ["never-begun-is-lost", "rescheduled-last"])
def test_a_fault_that_is_put_back_is_found(name):
    """These two soon; all of them are tried by a campaign."""
    found = patched.find(name, most=200)

    assert 0 < found.seeds <= 200, found.what


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", patched.names())
def test_each_fault_that_is_put_back_is_found(name):
    """Within as many seeds as a night's run has many times."""
    found = patched.find(name)

    assert 0 < found.seeds <= patched.MOST_SEEDS, found.what
