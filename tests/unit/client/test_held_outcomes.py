"""Endings that a signal to all may have caused, by when the client is told to end."""

import pytest

from hypershell.client.held_outcomes import HELD_SECONDS, HeldOutcomes
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome

DOUBTFUL = [
    *((Ending.SIGNALED, number) for number in (1, 2, 15)),
    *((Ending.EXITED, status) for status in (129, 130, 143)),
]
CERTAIN = [
    *((Ending.SIGNALED, number) for number in (3, 6, 9, 11, 13)),
    *((Ending.EXITED, status) for status in (0, 1, 2, 15, 126, 127, 128, 131, 137, 139)),
    *((ending, 15) for ending in Ending if ending not in (Ending.SIGNALED, Ending.EXITED)),
]


def outcome(task_id: int, ending: Ending = Ending.SIGNALED, code: int = 15) -> Outcome:
    """How a task ended: by TERM, if nothing else is said."""
    return Outcome(task_id, 1, ending, code)


@pytest.mark.parametrize(("ending", "code"), DOUBTFUL)
def test_an_ending_by_a_signal_that_ends_programs_is_held(ending, code):
    """And by a status that says the same."""
    held = HeldOutcomes()

    assert ([], [outcome(1, ending, code)]) == held.sift([outcome(1, ending, code)], 10.0)
    assert held
    assert 10.0 + HELD_SECONDS == held.due_at()


@pytest.mark.parametrize(("ending", "code"), CERTAIN)
def test_any_other_ending_is_not(ending, code):
    """What we caused ourselves is none of them, whatever signal it took."""
    held = HeldOutcomes()

    assert ([outcome(1, ending, code)], []) == held.sift([outcome(1, ending, code)], 10.0)
    assert not held


def test_what_nobody_explains_goes_on_as_it_is_after_a_second():
    """The oldest first."""
    held = HeldOutcomes()
    held.sift([outcome(1)], 10.0)
    held.sift([outcome(2)], 10.5)

    assert [] == held.take_due(10.9)
    assert [outcome(1)] == held.take_due(11.0)
    assert [outcome(2)] == held.take_due(12.0)
    assert not held


def test_what_ended_in_the_second_before_the_client_is_told_was_interrupted():
    """All of it, and once."""
    held = HeldOutcomes()
    held.sift([outcome(1), outcome(2, Ending.EXITED, 143)], 10.0)

    told = held.tell_to_end(10.9)

    assert [(1, Ending.INTERRUPTED), (2, Ending.INTERRUPTED)] == [
        (o.task_id, o.ending) for o in told
    ]
    assert not held
    assert [] == held.take_due(20.0)


def test_what_ends_in_the_second_after_it_was_interrupted_too():
    """It hears the same signal a moment later; what ends long after it does not."""
    held = HeldOutcomes()
    held.tell_to_end(10.0)

    soon, _ = held.sift([outcome(1)], 10.9)
    late, kept = held.sift([outcome(2)], 11.1)

    assert [Ending.INTERRUPTED] == [o.ending for o in soon]
    assert ([], [outcome(2)]) == (late, kept)


def test_what_is_not_ours_any_more_is_forgotten():
    """Some, or all."""
    held = HeldOutcomes()
    held.sift([outcome(1), outcome(2), outcome(3)], 10.0)

    held.drop({(2, 1), (3, 2)})

    assert [1, 3] == [o.task_id for o in held]
    held.clear()
    assert [] == list(held)
