"""The exit status of one command on the farm."""

import pytest

from hypershell.app.run_command import exit_status


def task(**facts: object) -> dict[str, object]:
    """A task that is final, as the server tells of it."""
    nothing = {
        "ending": "exited",
        "reason": None,
        "id": 7,
        "state": "failed",
        "exit_status": None,
        "signal": None,
    }
    return nothing | facts


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"state": "succeeded", "exit_status": 0}, 0),
        ({"exit_status": 3}, 3),
        ({"exit_status": 300}, 255),
        ({"signal": 9}, 137),
        ({"signal": 500}, 255),
    ],
)
def test_the_status_is_that_of_a_shell(facts, status):
    """It says all by itself."""
    assert (status, "") == exit_status(task(**facts))


@pytest.mark.parametrize(
    ("facts", "status", "note"),
    [
        ({"state": "cancelled", "exit_status": 0}, 1, "task 7 was cancelled"),
        (
            {"ending": "unstartable", "reason": "too long"},
            126,
            "task 7: could not be started: too long",
        ),
        ({"ending": "lost"}, 1, "task 7: its client died or was cut off"),
    ],
)
def test_what_a_status_cannot_say_is_noted(facts, status, note):
    """In words."""
    assert (status, note) == exit_status(task(**facts))
