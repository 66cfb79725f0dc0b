"""Servers that are killed at random moments, again and again: nothing is lost, nothing doubled.

KILL_TRIALS is how many trials the campaign makes (200 on SQLite and 50 on PostgreSQL if it says
nothing), KILL_SEED the seed of the first; each next trial has the next seed.
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

import pytest

from hypershell.store.sql.engine import initialize_database
from tests.helpers.campaign import Count, Trial
from tests.helpers.farm import Farm
from tests.helpers.postgres import Postgres

TASKS = 2000
FEW = 200


def first_seed() -> int:
    """Where the seeds begin."""
    return int(os.environ.get("KILL_SEED") or SystemRandom().randrange(10**6))


def new_database(postgres: Postgres) -> str:
    """The URL of a database in PostgreSQL that a server can use."""
    url = postgres.new_url()
    initialize_database(url)
    return url


def campaign(
    folder: Path, trials: int, tasks: int, url: Callable[[], str | None], say: Callable[[str], None]
) -> None:
    """Make trials, print what was counted, and assert that nothing happened that must not."""
    first = first_seed()
    total = Count()
    bad = []
    for seed in range(first, first + trials):
        place = folder / str(seed)
        place.mkdir()
        farm = Farm(place)
        try:
            count = Trial(farm, seed, tasks, url()).run()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\nbefore it:\n{total.table()}") from error
        finally:
            farm.close()
        total += count
        if not count.is_good:
            bad.append(f"seed {seed}:\n{count.table()}")
        if seed % 10 == 0:
            say(f"seeds {first} to {seed}: {len(bad)} bad trials")
    say(f"seeds {first} to {first + trials - 1}, {tasks} tasks each\n{total.table()}")

    assert not bad, "\n".join(bad)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print for whoever watches."""

    def print_(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return print_


@pytest.fixture(scope="module")
def durable_postgres():
    """A PostgreSQL that does not lose what it has said is kept."""
    cluster = Postgres(fsync=True)
    yield cluster
    cluster.close()


def test_a_server_that_is_killed_loses_nothing(tmp_path):
    """A few trials with a few tasks, on SQLite."""
    campaign(tmp_path, 2, FEW, lambda: None, lambda text: None)


@pytest.mark.campaign
def test_a_server_that_is_killed_loses_nothing_in_postgresql(tmp_path, postgres):
    """The same there."""
    campaign(tmp_path, 1, FEW, lambda: new_database(postgres), lambda text: None)


@pytest.mark.campaign
@pytest.mark.timeout(0)
def test_servers_that_are_killed_lose_nothing(tmp_path, say):
    """The campaign on SQLite."""
    trials = int(os.environ.get("KILL_TRIALS", "200"))

    campaign(tmp_path, trials, TASKS, lambda: None, say)


@pytest.mark.campaign
@pytest.mark.timeout(0)
def test_servers_that_are_killed_lose_nothing_in_postgresql(tmp_path, durable_postgres, say):
    """The campaign on PostgreSQL."""
    trials = int(os.environ.get("KILL_TRIALS", "50"))

    campaign(tmp_path, trials, TASKS, lambda: new_database(durable_postgres), say)
