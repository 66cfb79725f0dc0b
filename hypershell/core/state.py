"""The states of a task and the moves between them: one value, one table."""

from enum import Enum


class TaskState(Enum):
    """Where a task is in its life."""

    WAITING = "waiting"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    # Looked up for every task; that of Enum is a function in Python, and members are but equal to
    # themselves.
    __hash__ = object.__hash__


MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.WAITING: frozenset({TaskState.SENT, TaskState.CANCELLED}),
    TaskState.SENT: frozenset(
        {
            TaskState.SUCCEEDED,
            TaskState.FAILED,
            TaskState.CANCELLED,
            TaskState.INTERRUPTED,
            TaskState.WAITING,
        }
    ),
    TaskState.SUCCEEDED: frozenset(),
    TaskState.FAILED: frozenset({TaskState.WAITING}),
    TaskState.CANCELLED: frozenset({TaskState.WAITING}),
    TaskState.INTERRUPTED: frozenset({TaskState.WAITING}),
}

FINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})
"""States that a run need not come back to; INTERRUPTED is unfinished."""


def may_move(before: TaskState, after: TaskState) -> bool:
    """Whether a task may go from one state to the other in one step."""
    return after in MOVES[before]
