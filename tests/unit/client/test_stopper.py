"""What is decided about tasks that are being ended, without a process or a clock."""

import pytest

from hypershell.client.tasks.spawn import Child
from hypershell.client.tasks.stopper import TaskStopper
from hypershell.core.ending import Ending
from hypershell.core.task import Claim


def child(pid: int) -> Child:
    """A task whose processes nobody ever starts."""
    return Child(Claim(pid, 1, 1, b"true"), pid, 1, 0.0, 0.0)


@pytest.fixture
def stopper() -> TaskStopper:
    """One that ends nothing yet."""
    return TaskStopper()


def test_nothing_is_due_while_nothing_is_being_ended(stopper):
    """The executor may sleep."""
    assert not stopper
    assert stopper.patience(0.0) is None


def test_a_task_is_terminated_once(stopper):
    """A second order only shortens the time that it has."""
    one = child(1)

    assert stopper.add(one, Ending.CANCELLED, kill_at=10.0)
    assert not stopper.add(one, Ending.INTERRUPTED, kill_at=5.0)
    assert not stopper.add(one, Ending.INTERRUPTED, kill_at=20.0)

    assert set() == stopper.late(4.9)
    assert {one} == stopper.late(5.0)
    assert 4.0 == stopper.patience(1.0)


def test_a_leader_that_ended_is_gone_when_its_session_is(stopper):
    """Until then its number must stay its own."""
    one = child(1)
    stopper.add(one, Ending.INTERRUPTED, kill_at=10.0)
    assert not stopper.waits_for_sessions()

    stopper.leader_ended(one)

    assert stopper.waits_for_sessions()
    assert [] == stopper.gone(1.0, alive={1, 2})
    assert [one] == stopper.gone(1.0, alive={2})


def test_what_was_killed_and_does_not_go_is_waited_for_for_half_a_second(stopper):
    """The kernel may hold a process in a call for hours; others are dying, and have that long."""
    one = child(1)
    stopper.add(one, Ending.INTERRUPTED, kill_at=10.0)
    stopper.leader_ended(one)

    assert {one} == stopper.late(10.0)
    assert [] == stopper.gone(10.4, alive={1})
    assert [one] == stopper.gone(10.5, alive={1})


def test_a_task_that_is_wholly_gone_is_taken_out_with_its_ending(stopper):
    """The first reason for which it was to end."""
    one = child(1)
    stopper.add(one, Ending.CANCELLED, kill_at=10.0)
    stopper.add(one, Ending.INTERRUPTED, kill_at=10.0)
    stopper.leader_ended(one)

    assert [(one, Ending.CANCELLED)] == stopper.take([one])

    assert not stopper


def test_what_a_cancelled_task_left_is_looked_for_for_half_a_second(stopper):
    """Something that cannot be killed must not hold its slot for ever."""
    cancelled, stopped = child(1), child(2)
    stopper.add(cancelled, Ending.CANCELLED, kill_at=0.0)
    stopper.add(stopped, Ending.INTERRUPTED, kill_at=0.0)

    assert [cancelled] == stopper.stopped_alone([cancelled, stopped])
    assert [cancelled] == stopper.wait_for_strays([cancelled], now=1.0)
    assert [cancelled] == stopper.wait_for_strays([cancelled], now=1.4)
    assert [] == stopper.wait_for_strays([cancelled], now=1.5)


def test_a_grace_can_be_put_off(stopper):
    """By as long as the tasks stood still."""
    one = child(1)
    stopper.add(one, Ending.CANCELLED, kill_at=10.0)

    stopper.shift(60.0)

    assert set() == stopper.late(69.9)
    assert {one} == stopper.late(70.0)
