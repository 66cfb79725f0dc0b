"""When a run ends early by what became of its tasks, as `--halt` says it.

The words are GNU parallel's (its manual of 20240222, --halt), but for `never` alone, 1 and 2.
"""

import re
from typing import NamedTuple

from hypershell.core.state import TaskState

MIN_FOR_SHARE = 3
"""How many tasks must have ended so before a percentage means anything (as in GNU parallel)."""

_RULE = re.compile(r"(now|soon),(fail|success|done)=(\d{1,9})(%?)", re.ASCII)
_STATES = {
    "fail": (TaskState.FAILED,),
    "success": (TaskState.SUCCEEDED,),
    "done": (TaskState.FAILED, TaskState.SUCCEEDED),
}
_VERBS = {"fail": "failed", "success": "succeeded", "done": "finished"}


class HaltRule(NamedTuple):
    """A run ends when `number` tasks have ended as `what` says, or `number` percent of those that
    have finished. `now` stops what runs; otherwise it ends first.
    """

    text: str
    now: bool
    what: str
    number: int
    is_share: bool

    @property
    def is_success(self) -> bool:
        """Whether a run that ends by this rule has succeeded."""
        return self.what == "success"

    @property
    def verb(self) -> str:
        """What became of the tasks that count."""
        return _VERBS[self.what]

    def counts(self, state: TaskState) -> bool:
        """Whether a task that came to this state counts."""
        return state in _STATES[self.what]

    def is_met(self, counted: int, finished: int) -> bool:
        """Whether this is so, of so many tasks that succeeded or failed."""
        if self.is_share:
            return counted >= MIN_FOR_SHARE and counted * 100 >= self.number * finished
        return counted >= self.number


def read_halt(text: str) -> HaltRule | None:
    """The rule of a text, None for `never`; ValueError."""
    if text == "never":
        return None
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError("must be now or soon, and fail=N, fail=N%, success=N or done=N, or never")
    when, what, number, share = found.groups()
    if not 1 <= int(number) <= (100 if share else 10**9):
        raise ValueError("needs a number from 1" + (" to 100 before the %" if share else ""))
    return HaltRule(text, when == "now", what, int(number), bool(share))
