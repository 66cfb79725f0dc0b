"""What a line is, and where an outcome moves its task."""

import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy, decide
from hypershell.core.state import FINAL, MOVES, TaskState, may_move
from hypershell.core.task import Task, command_of, is_task, leased, new_task, tags_of


def settled(
    ending: Ending, code: int = 0, policy: Policy | None = None, stopping: bool = False, **task: int
) -> tuple[Task, TaskState]:
    """What becomes of a task that was handed out once."""
    before = leased(Task(7, b"make", 3, **task))
    return decide(before, Outcome(7, before.lease, ending, code), policy or Policy(), stopping)


@pytest.mark.parametrize("line", [b"", b"  \t ", b"# a comment", b"  #", b"\r", b"#!/bin/sh"])
def test_a_blank_line_or_a_comment_is_no_task(line):
    """Also one of white space alone, and one whose comment is indented."""
    assert not is_task(line)


@pytest.mark.parametrize(
    "line", [b"true", b"  true", b"echo 'a#b'", b"echo $#", b"\xff\xfe", b":#"]
)
def test_any_other_line_is_a_task(line):
    """Whatever its encoding, and wherever else it has a #."""
    assert is_task(line)


@pytest.mark.parametrize(
    "line",
    [
        b"echo 'a#b'",
        b"echo $# # a comment of the shell",
        b"echo HYPERSHELL: a:b",
        b"echo a# HYPERSHELL: a:b",
        b"echo '# HYPERSHELL: a:b c'",
        b"echo # HYPERSHELL:",
        b"echo # HYPERSHELL: nothing",
        b"echo # HYPERSHELL: a:b; rm x",
        b" echo \xff ",
    ],
)
def test_a_line_without_tags_is_its_own_command(line):
    """Byte for byte: only a whole tag comment at the end is taken off."""
    assert line == command_of(line)
    assert {} == tags_of(line)


def test_tags_are_taken_from_the_end_of_a_line():
    """What stands before them is the command."""
    line = b"make all # HYPERSHELL: site:north run:20240101 empty:"

    assert b"make all" == command_of(line).rstrip()
    assert {"site": "north", "run": "20240101", "empty": ""} == tags_of(line)


def test_only_the_last_of_two_tag_comments_sets_tags():
    """The first one is a comment of the shell."""
    line = b"make # HYPERSHELL: a:1 # HYPERSHELL: b:2"

    assert {"b": "2"} == tags_of(line)
    assert b"make # HYPERSHELL: a:1" == command_of(line).rstrip()


def test_each_state_has_its_moves():
    """No state is forgotten in the table, and none leads to itself."""
    assert set(TaskState) == set(MOVES)
    assert not any(may_move(state, state) for state in TaskState)


def test_what_is_final_only_waits_again():
    """By --restart or retry; a task that succeeded never moves again."""
    assert {TaskState.WAITING} == set().union(*(MOVES[state] for state in FINAL))
    assert not MOVES[TaskState.SUCCEEDED]


def test_every_task_can_end():
    """From each state that is not final some way leads to one that is."""
    for state in set(TaskState) - FINAL:
        reached = {state}
        for _ in TaskState:
            reached |= {after for before in reached for after in MOVES[before]}

        assert reached & FINAL


def test_a_lease_grows_and_nothing_else():
    """It tells this handing out from an older one."""
    task = new_task(b"make", 3, 7)

    again = leased(leased(task))

    assert task._replace(lease=2) == again


def test_exit_status_0_is_success():
    """And no attempt is counted beyond it."""
    task, state = settled(Ending.EXITED, 0)

    assert TaskState.SUCCEEDED is state
    assert 1 == task.attempt


@pytest.mark.parametrize(
    ("ending", "code"), [(Ending.EXITED, 1), (Ending.SIGNALED, 9), (Ending.UNSTARTABLE, 0)]
)
def test_a_failure_without_retries_is_final(ending, code):
    """A status, a signal, or a task that could not be started."""
    task, state = settled(ending, code)

    assert TaskState.FAILED is state
    assert 1 == task.failures


def test_a_failure_with_a_retry_left_waits_for_its_next_attempt():
    """The lease it had does not come back."""
    task, state = settled(Ending.EXITED, 1, Policy(max_retries=1))

    assert TaskState.WAITING is state
    assert (2, 1, 1) == (task.attempt, task.failures, task.lease)


def test_the_last_retry_is_the_last():
    """`max_retries` are further attempts."""
    _, state = settled(Ending.EXITED, 1, Policy(max_retries=1), failures=1)

    assert TaskState.FAILED is state


def test_a_task_that_was_given_back_is_as_it_was():
    """It was never started: no attempt is counted."""
    task, state = settled(Ending.GIVEN_BACK)

    assert TaskState.WAITING is state
    assert leased(Task(7, b"make", 3)) == task


def test_a_lost_client_uses_up_no_retry():
    """But the attempt is counted: something may have been started."""
    task, state = settled(Ending.LOST)

    assert TaskState.WAITING is state
    assert (2, 0, 1) == (task.attempt, task.failures, task.losses)


def test_a_task_that_lost_too_many_clients_is_failed():
    """It may be what kills them."""
    _, state = settled(Ending.LOST, policy=Policy(max_lost=3), losses=2)

    assert TaskState.FAILED is state


@pytest.mark.parametrize(
    ("stopping", "expected"), [(True, TaskState.INTERRUPTED), (False, TaskState.WAITING)]
)
def test_a_stopped_task_is_interrupted_with_its_run_alone(stopping, expected):
    """Stopped with its client, it waits for another."""
    _, state = settled(Ending.INTERRUPTED, stopping=stopping)

    assert expected is state


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("code", [0, 1])
def test_each_ending_leads_to_a_state_that_may_follow_sent(ending, code):
    """No outcome takes a task off the table of moves."""
    for stopping in (False, True):
        _, state = settled(ending, code, stopping=stopping)

        assert may_move(TaskState.SENT, state)


@pytest.mark.parametrize("ending", Ending)
def test_each_ending_says_its_cause(ending):
    """In a few words, never an empty one."""
    outcome = Outcome(1, 1, ending, 3, "no such file")

    assert outcome.cause
