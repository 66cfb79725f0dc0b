"""A failure that repeats is reported once, and then rarely."""

import pytest

from hypershell.runtime import clock
from hypershell.runtime.seldom import Seldom


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """The time, which a test sets."""
    moment = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: moment[0])
    return moment


def test_reports_become_rare(now):
    """Ten a second for two hours make a handful of lines, which say how many there were."""
    seldom = Seldom()
    reported = []
    for tick in range(2 * 36_000):
        now[0] = 1000.0 + tick / 10
        if seldom.due():
            reported.append((round(now[0] - 1000.0), seldom.others()))

    assert [0, 60, 180, 420, 900, 1860, 3780] == [moment for moment, _ in reported]
    assert "" == reported[0][1]
    assert " (599 more times since this was last reported)" == reported[1][1]


def test_a_failure_after_a_quiet_time_is_a_first_one(now):
    """It is reported at once."""
    seldom = Seldom()
    assert seldom.due()
    now[0] += 30
    assert not seldom.due()

    now[0] += 61

    assert seldom.due()
    assert "" == seldom.others()
