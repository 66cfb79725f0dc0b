"""Counts the tasks in each state, and says which groups may run."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from hypershell.core.state import FINAL, SHOWN_STATES, TaskState, may_move, shown_as

NO_GROUP = 2**31 - 1
"""Beyond all groups."""


class Counts(NamedTuple):
    """Tasks by state, and how many further attempts were granted after a failure or a loss.

    Of those that wait, `blocked` do so for a group before theirs that has failed.
    """

    waiting: int = 0
    sent: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    interrupted: int = 0
    cancelled: int = 0
    retried: int = 0
    blocked: int = 0

    @property
    def total(self) -> int:
        """All tasks of the run."""
        final = self.succeeded + self.failed + self.cancelled
        return final + self.unfinished

    @property
    def unfinished(self) -> int:
        """Tasks that are not final."""
        return self.waiting + self.sent + self.running + self.interrupted

    def shown(self) -> dict[TaskState, int]:
        """Tasks by state as people see it."""
        numbers = dict.fromkeys(SHOWN_STATES, 0)
        for state in TaskState:
            numbers[shown_as(state)] += getattr(self, state.value)
        return numbers


class Tally:
    """Tasks by group and state. Not thread-safe: its owner locks it."""

    def __init__(self) -> None:
        self._groups: dict[int, Counter[TaskState]] = {}

    def add(self, group: int, state: TaskState, number: int = 1) -> None:
        """Add this many tasks, or remove them if negative."""
        self._groups.setdefault(group, Counter())[state] += number

    def move(self, group: int, before: TaskState, after: TaskState, number: int = 1) -> None:
        """Move this many tasks from one state to another; an illegal move is a defect."""
        if not may_move(before, after):
            raise AssertionError(f"a task cannot go from {before.value} to {after.value}")
        states = self._groups.setdefault(group, Counter())
        states[before] -= number
        states[after] += number

    def open_group(self) -> int:
        """The last group of which tasks may be handed out: the first with one that is not done.

        A task that was cancelled is out of its group; one that failed keeps the next from going.
        """
        return min((g for g, states in self._groups.items() if _is_open(states)), default=NO_GROUP)

    def failed_group(self) -> int:
        """The first group with a task that failed."""
        failed = (g for g, states in self._groups.items() if states[TaskState.FAILED] > 0)
        return min(failed, default=NO_GROUP)

    def of(self, state: TaskState) -> int:
        """How many tasks are in a state."""
        return sum(states[state] for states in self._groups.values())

    def unfinished(self) -> int:
        """How many tasks are not final."""
        return _unfinished(self._groups.values())

    def blocked(self) -> int:
        """How many wait for a group that has failed."""
        if len(self._groups) < 2:
            return 0
        first = self.failed_group()
        return sum(s[TaskState.WAITING] for group, s in self._groups.items() if group > first)

    def waiting_in(self, last_group: int) -> int:
        """How many wait in this group and those before it."""
        waiting = (s[TaskState.WAITING] for group, s in self._groups.items() if group <= last_group)
        return sum(waiting)


def _is_open(states: Counter[TaskState]) -> bool:
    return states[TaskState.FAILED] > 0 or _unfinished([states]) > 0


def _unfinished(groups: Iterable[Counter[TaskState]]) -> int:
    return sum(n for states in groups for state, n in states.items() if state not in FINAL)
