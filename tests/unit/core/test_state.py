"""The tables of states: what may follow what, and what people may change."""

import pytest

from hypershell.core.ending import Ending
from hypershell.core.state import (
    CANCEL,
    DELETE,
    FINAL,
    HANDED_OUT,
    RETRY,
    SHOWN_STATES,
    TaskState,
    may_move,
    meant_by,
    shown_as,
)

RULES = {"cancel": CANCEL, "retry": RETRY, "delete": DELETE}


@pytest.mark.parametrize("name", ["cancel", "retry"])
def test_a_change_is_a_legal_move(name):
    """Also one that waits until a client has ended the task."""
    rule = RULES[name]

    moves = [(before, rule.becomes) for before in rule.at_once | rule.once_ended]

    assert all(may_move(*move) for move in moves)


def test_what_succeeded_can_only_be_deleted():
    """It is neither cancelled nor tried again."""
    allowed = {name for name, rule in RULES.items() if TaskState.SUCCEEDED in rule.at_once}

    assert {"delete"} == allowed


def test_what_is_under_way_is_not_deleted():
    """Every other task can be."""
    assert {TaskState.WAITING, *HANDED_OUT} == set(TaskState) - DELETE.at_once


def test_people_see_no_difference_between_what_waits_here_and_at_a_client():
    """Each state is seen as one that has itself for a name."""
    assert meant_by(TaskState.WAITING) == {TaskState.WAITING, TaskState.SENT}
    assert set(SHOWN_STATES) == {shown_as(state) for state in TaskState}
    assert all(shown_as(state) is state for state in SHOWN_STATES)


def test_what_can_be_cancelled_is_not_final():
    """And all that is not final can be."""
    assert set(TaskState) - FINAL == CANCEL.at_once | CANCEL.once_ended


@pytest.mark.parametrize("ending", Ending)
def test_an_ending_leads_where_a_task_that_is_out_may_go(ending):
    """By the table of moves."""
    assert may_move(TaskState.SENT, ending.leads_to)
