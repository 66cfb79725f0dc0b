"""The rules of --halt."""

import pytest

from hypershell.core.halt import read_halt
from hypershell.core.state import TaskState


@pytest.mark.parametrize(
    ("text", "counted", "finished", "is_met"),
    [
        ("now,fail=1", 1, 5, True),
        ("soon,fail=3", 2, 2, False),
        ("soon,fail=50%", 2, 2, False),  # too few to be a share of anything
        ("soon,fail=50%", 3, 6, True),
        ("soon,fail=50%", 3, 7, False),
        ("now,done=100%", 3, 3, True),
    ],
)
def test_a_rule_is_met_by_a_number_or_a_share(text, counted, finished, is_met):
    """A share counts from the third task on."""
    rule = read_halt(text)

    assert rule is not None
    assert is_met == rule.is_met(counted, finished)


def test_what_counts_is_what_became_of_a_task():
    """A task that was cancelled is neither a failure nor a success."""
    counts = {
        what: {state for state in TaskState if read_halt(f"now,{what}=1").counts(state)}  # type: ignore[union-attr]
        for what in ("fail", "success", "done")
    }

    assert counts == {
        "fail": {TaskState.FAILED},
        "success": {TaskState.SUCCEEDED},
        "done": {TaskState.FAILED, TaskState.SUCCEEDED},
    }


def test_never_is_no_rule():
    """As in GNU parallel."""
    assert read_halt("never") is None


@pytest.mark.parametrize(
    "text",
    ["", "now", "now,fail", "now,fail=0", "now,fail=101%", "later,fail=1", "now,fail=-1", "2"],
)
def test_what_is_no_rule_is_refused(text):
    """With what it must be."""
    with pytest.raises(ValueError, match=r"must be|needs"):
        read_halt(text)
