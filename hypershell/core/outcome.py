"""What became of one attempt at a task, as its client or the server reports it."""

from typing import NamedTuple

from hypershell.core.ending import Ending

STDERR_TAIL = 4096
"""Most bytes stored of a failed attempt's standard error: its last ones."""

MAX_CAPTURED = 2**20
"""Most bytes stored of each output of a captured task: its first ones."""


class Outcome(NamedTuple):
    """How an attempt ended, and what it took.

    `code` is the exit status (EXITED) or the signal (SIGNALED). `started_at` is wall time in
    seconds since the epoch, to show; `seconds` is measured on a monotonic clock. `peak_kib` is
    the peak resident size of the largest process, 0 if it cannot be told apart from the client's.
    `err` is the end of what a failed attempt printed to standard error, at most STDERR_TAIL bytes;
    of a captured task `out` and `err` are what it printed, at most MAX_CAPTURED bytes each.

    A named tuple travels as it is, and is made three times as fast as a dataclass.
    """

    task_id: int
    lease: int
    ending: Ending
    code: int = 0
    reason: str = ""
    started_at: float = 0.0
    seconds: float = 0.0
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_kib: int = 0
    slot: int = 0
    pid: int = 0
    out: bytes = b""
    err: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the attempt succeeded."""
        return not self.code and not self.ending  # EXITED is 0; asked several times a task

    @property
    def cause(self) -> str:
        """What happened, in a few words."""
        cause = self.ending.describe(self.code)
        return f"{cause}: {self.reason}" if self.reason else cause
