"""Time limits: which of the running tasks have run too long."""

from hypershell.client.tasks.spawn import Child
from hypershell.client.tasks.time_limits import TimeLimits
from hypershell.core.task import Claim


def child(pid: int, started: float = 100.0) -> Child:
    """A task that was started at this time."""
    return Child(Claim(pid, 1, 1, b"x"), pid, 1, started, 0.0)


def test_limits_pass_in_the_order_of_their_ends():
    """Whenever the tasks were started, and also at the same moment."""
    limits = TimeLimits()
    late, early, same = child(1), child(2, started=90.0), child(3, started=95.0)
    limits.add(late, 30)
    limits.add(early, 20)
    limits.add(same, 15)

    assert [] == limits.passed(109.9)
    assert [early, same] == limits.passed(110.0)
    assert [late] == limits.passed(1000.0)
    assert not limits


def test_the_next_limit_is_waited_for():
    """And not longer: what has passed already is dealt with at once."""
    limits = TimeLimits()
    limits.add(child(1), 30)
    limits.add(child(2), 10)

    assert 4.0 == limits.patience(106.0)
    assert 0.0 == limits.patience(200.0)


def test_without_limits_there_is_nothing_to_look_at():
    """Which is what nearly all runs have."""
    assert not TimeLimits()


def test_limits_can_be_put_off():
    """By as long as the tasks stood still."""
    limits = TimeLimits()
    limits.add(child(1), 30)

    limits.shift(60.0)

    assert [] == limits.passed(189.9)
    assert 0.5 == limits.patience(189.5)
