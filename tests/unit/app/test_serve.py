"""How a run of a server ended: its exit status and its summary."""

import logging
from typing import Any

import pytest

from hypershell.app.serve import exit_status, summary
from hypershell.core.errors import InputMissing
from hypershell.server.options import Ended
from hypershell.store.tasks.tally import Counts


def ended(seconds: float = 2.0, **facts: Any) -> Ended:
    """A run that ended; counts are given by their names."""
    names = set(Counts._fields)
    counts = {name: facts.pop(name) for name in names & set(facts)}
    return Ended(Counts(**counts), seconds, **facts)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, 0),
        ({"succeeded": 3}, 0),
        ({"succeeded": 3, "retried": 2}, 0),
        ({"succeeded": 3, "failed": 1}, 1),
        ({"cancelled": 1}, 1),
        ({"waiting": 1}, 1),
        ({"waiting": 1, "stopped": True}, 0),
        ({"interrupted": 1, "stopped": True}, 1),
        ({"succeeded": 3, "unwritten": 1}, 1),
        ({"succeeded": 3, "signal": 15}, 143),
        ({"failed": 1, "signal": 2, "error": InputMissing(path="f")}, 130),
    ],
)
def test_the_exit_status_tells_whether_all_tasks_succeeded(facts, status):
    """A server that was told to stop does not answer for what it left; a signal comes first."""
    assert status == exit_status(ended(**facts))


def test_what_ended_a_run_early_is_raised():
    """A failure of the program before a signal, a signal before an error of the input."""
    failure = RuntimeError("a loop failed")

    with pytest.raises(RuntimeError, match="a loop failed"):
        exit_status(ended(failure=failure, signal=15))
    with pytest.raises(InputMissing):
        exit_status(ended(error=InputMissing(path="f"), succeeded=1))


def test_the_summary_counts_tasks():
    """With how long it took."""
    said = "4 tasks: 3 succeeded, 1 failed, 2 retried, in 2.00 s (2 tasks/s)"

    assert (logging.INFO, said) in summary(ended(succeeded=3, failed=1, retried=2))


def test_a_run_that_took_no_time_has_no_rate():
    """Nothing is divided by zero."""
    assert "(0 tasks/s)" in summary(ended(0.0))[0][1]


def test_the_summary_names_what_is_left():
    """Lines by their ranges, what was submitted by its number, and where reading stopped."""
    numbers = {"unfinished_numbers": (1, 2, 3), "failed_numbers": (9,)}

    lines = summary(ended(waiting=5, failed=1, unread_from=10, **numbers))

    said = "unfinished: lines 1-3; 2 submitted tasks; the input was not read beyond line 9"
    assert (logging.WARNING, said) in lines
    assert (logging.WARNING, "failed: line 9; -f PATH saves these lines") in lines


def test_the_summary_says_what_a_failed_group_kept_from_running():
    """And how to have it tried again."""
    facts = ended(waiting=2, blocked=2, failed=1)

    text = summary(facts, "`hyper-shell server a --resume`")[-1][1]

    assert "2 tasks not started" in text
    assert "server --restart" in text
    assert "restart" not in summary(facts)[-1][1]  # nothing is kept


def test_the_summary_says_which_command_continues_the_run():
    """Where it can be continued."""
    facts = ended(waiting=2, unfinished_numbers=(1, 2))

    said = "unfinished: lines 1-2; `hyper-shell server a --resume` continues with them"
    assert (logging.WARNING, said) in summary(facts, "`hyper-shell server a --resume`")
    assert (logging.WARNING, "unfinished: lines 1-2") in summary(facts)


def test_the_summary_counts_what_was_cancelled():
    """Only where something was: the numbers add up."""
    (_, said), *_ = summary(ended(succeeded=3, failed=1, cancelled=2))

    assert said.startswith("6 tasks: 3 succeeded, 1 failed, 2 cancelled, 0 retried, in ")
