"""Worlds that nobody has looked at before, in each run of the tests."""

import re

import pytest

from tests.sim.test_worlds import simulate

FRESH_SECONDS = 30


@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", ["--memory", "--database"])
def test_no_fresh_seed_breaks_a_rule(kind):
    """Others each time; what is printed says which, and how it is run again."""
    done = simulate(kind, "--seconds", FRESH_SECONDS, "--jobs", 1)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert 20 < int(re.search(r": (\d+) seeds", done.stdout)[1])
