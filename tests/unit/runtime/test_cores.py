"""How many cores this process may use."""

import os

import pytest

from hypershell.runtime import cores


@pytest.fixture
def four_cores(monkeypatch):
    """A process that may run on four cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)


@pytest.mark.parametrize(("quota", "usable"), [(None, 4), (2.5, 2), (0.5, 1), (64.0, 4)])
def test_a_quota_limits_the_cores(monkeypatch, four_cores, quota, usable):
    """A part of a core is none, and one core is always usable."""
    monkeypatch.setattr(cores, "_cgroup_quota", lambda: quota)

    assert usable == cores.usable_cores()


def test_the_cores_of_this_process_are_counted():
    """At least one, and not more than the machine has."""
    assert 1 <= cores.usable_cores() <= (os.cpu_count() or 1)
