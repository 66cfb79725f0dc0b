"""The states of a task, the moves between them, and what people may change."""

from collections.abc import Set
from enum import Enum
from typing import NamedTuple


class TaskState(Enum):
    """Where a task is in its life.

    A task that is SENT was handed out, or is about to be, and nobody has said yet that it began;
    one that is RUNNING has begun. To people both of those that have not begun are waiting.
    """

    WAITING = "waiting"
    SENT = "sent"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    # Looked up for every task; that of Enum is a function in Python, and members are but equal to
    # themselves.
    __hash__ = object.__hash__


_ENDED = frozenset(
    {
        TaskState.SUCCEEDED,
        TaskState.FAILED,
        TaskState.CANCELLED,
        TaskState.INTERRUPTED,
        TaskState.WAITING,
    }
)
"""Where a task that was handed out can go."""

MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.WAITING: frozenset({TaskState.SENT, TaskState.CANCELLED}),
    TaskState.SENT: _ENDED | {TaskState.RUNNING},
    TaskState.RUNNING: _ENDED,
    TaskState.SUCCEEDED: frozenset(),
    TaskState.FAILED: frozenset({TaskState.WAITING}),
    TaskState.CANCELLED: frozenset({TaskState.WAITING}),
    TaskState.INTERRUPTED: frozenset({TaskState.WAITING, TaskState.CANCELLED}),
}

FINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})
"""States that a run need not come back to; INTERRUPTED is unfinished."""

HANDED_OUT = frozenset({TaskState.SENT, TaskState.RUNNING})
"""States in which a client may hold a task."""

_SHOWN_AS = {TaskState.SENT: TaskState.WAITING}

SHOWN_STATES = tuple(state for state in TaskState if state not in _SHOWN_AS)
"""The states that people see."""


def shown_as(state: TaskState) -> TaskState:
    """The state that people see of a task in this one."""
    return _SHOWN_AS.get(state, state)


def meant_by(shown: TaskState) -> frozenset[TaskState]:
    """The states of tasks of which people see this one."""
    return frozenset(state for state in TaskState if shown_as(state) is shown)


def may_move(before: TaskState, after: TaskState) -> bool:
    """Whether a task may go from one state to the other in one step."""
    return after in MOVES[before]


class ChangeRule(NamedTuple):
    """What a request does to a task, by its state; in any other state the request is refused.

    A task in one of the states `at_once` is changed right away: to `becomes`, or it is gone if that
    is None. One in `once_ended` is with a client; it changes when the client has ended it.
    """

    becomes: TaskState | None
    at_once: Set[TaskState]
    once_ended: Set[TaskState] = frozenset()


CANCEL = ChangeRule(
    TaskState.CANCELLED,
    at_once=frozenset({TaskState.WAITING, TaskState.INTERRUPTED}),
    once_ended=HANDED_OUT,
)
RETRY = ChangeRule(
    TaskState.WAITING,
    at_once=frozenset({TaskState.FAILED, TaskState.CANCELLED, TaskState.INTERRUPTED}),
)
DELETE = ChangeRule(None, at_once=FINAL | {TaskState.INTERRUPTED})
"""What people may ask for. The store in memory, the offline path and the SQL all read these."""
