"""A task, the claim of a client on it, and the outcome of an attempt.

A lease is a number that grows each time the task is handed out, so that an answer to an older one
is told apart from an answer to this one; an attempt is counted only when something may have been
started under its lease.

The three records are made once or more for every task, and travel as they are: named tuples are
made three times as fast as dataclasses are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from hypershell.core.state import TaskState

MAX_LINE = 32 * 2**20
"""Bytes in a line; more could not travel in one frame."""

STDERR_TAIL = 4096
"""Bytes that are kept of what a failed attempt printed to standard error: the last ones."""

MAX_CAPTURED = 2**20
"""Bytes that are kept of each output of a captured task: the first ones."""

MAX_GROUPS = 10**6
MAX_PRIORITY = 10**6

_TAGS = re.compile(
    rb"(?:^|[ \t])#[ \t]*HYPERSHELL:((?:[ \t]+[\w.-]+:[\w.,@%+/=-]*)+)[ \t\r]*$", re.ASCII
)


class Task(NamedTuple):
    """One line of shell.

    `number` is its line in the input, from 1, or 0 where it was submitted; `attempt` the one under
    way or to come, from 1. Tasks go out by group, then the higher `priority`, then by `sequence`.
    `max_retries` is -1 where the run's own applies; of a task that is `captured`, what it prints
    comes back with its outcome.
    """

    id: int
    line: bytes
    number: int
    lease: int = 0
    attempt: int = 1
    failures: int = 0
    losses: int = 0
    group: int = 0
    priority: int = 0
    sequence: int = 0
    max_retries: int = -1
    captured: bool = False


class Claim(NamedTuple):
    """A task as a client holds it: what to run, and under which lease.

    What a task that is `captured` prints goes into its outcome, and nowhere else.
    """

    task_id: int
    lease: int
    attempt: int
    command: bytes
    captured: bool = False


class Ending(IntEnum):
    """How an attempt ended. The numbers travel and are stored: they never change."""

    EXITED = 0
    SIGNALED = 1
    UNSTARTABLE = 2
    INTERRUPTED = 3
    GIVEN_BACK = 4  # it was never started
    LOST = 5  # its client died or was cut off
    CANCELLED = 6  # somebody cancelled the task while its client held it
    ORPHANED = 7  # the server died, and no client reported it


class Outcome(NamedTuple):
    """What an attempt ended with.

    `code` is the exit status (EXITED) or the signal (SIGNALED). `started_at` is wall time in
    seconds since the epoch, to show; `seconds` is measured on a monotonic clock. `peak_kib` is
    the peak resident size of the largest process, 0 where it cannot be told from the client's.
    `err` is the end of what a failed attempt printed to standard error, at most STDERR_TAIL bytes;
    of a captured task `out` and `err` are what it printed, at most MOST_CAPTURED bytes each.
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
        match self.ending:
            case Ending.EXITED:
                return f"exit status {self.code}"
            case Ending.SIGNALED:
                return f"signal {self.code}"
            case Ending.UNSTARTABLE:
                return f"could not be started: {self.reason}"
            case Ending.LOST:
                return "its client died or was cut off"
            case Ending.ORPHANED:
                return "its server died"
        return self.ending.name.lower().replace("_", " ")


def new_task(line: bytes, number: int, task_id: int) -> Task:
    """The task of one line of input, in the group and with the priority that its tags say.

    ValueError if these are no whole numbers.
    """
    if b"HYPERSHELL:" not in line or not (tags := tags_of(line)):
        return Task(task_id, line, number, sequence=2 * task_id)
    group = whole_tag(tags, "group", 0, MAX_GROUPS)
    priority = whole_tag(tags, "priority", -MAX_PRIORITY, MAX_PRIORITY)
    return Task(task_id, line, number, group=group, priority=priority, sequence=2 * task_id)


def whole_tag(tags: Mapping[str, str], key: str, lowest: int, highest: int) -> int:
    """The whole number that a tag has, 0 if there is none; ValueError."""
    text = tags.get(key, "0")
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
        raise ValueError(
            f"the tag {key} must be a whole number from {lowest} to {highest}, not {text}"
        )
    return int(text)


def is_task(line: bytes) -> bool:
    """Whether a line is a task: not blank, not a comment."""
    text = line.lstrip()
    return bool(text) and not text.startswith(b"#")


def command_of(line: bytes) -> bytes:
    """The shell command of a line: all of it but a trailing `# HYPERSHELL: key:value ...`."""
    if b"HYPERSHELL:" in line and (tags := _TAGS.search(line)):
        return line[: tags.start()]
    return line


def tags_of(line: bytes) -> dict[str, str]:
    """The tags that a line sets."""
    found = _TAGS.search(line) if b"HYPERSHELL:" in line else None
    if found is None:
        return {}
    pairs = (word.partition(":") for word in found[1].decode("ascii").split())
    return {key: value for key, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a task is tried again, and when its turn comes.

    `max_retries` are further attempts after a failure; a task that lost `max_lost` clients is not
    given to another. An `eager` retry goes before new tasks, any other after those already read.
    """

    max_retries: int = 0
    max_lost: int = 3
    eager: bool = False


def settle(task: Task, outcome: Outcome, policy: Policy, stopping: bool) -> tuple[Task, TaskState]:
    """The state to which this outcome moves a task that is SENT, and the task as it is then.

    A task that is stopped with its client waits for another; one that is stopped with the run
    (`stopping`) is INTERRUPTED.
    """
    if outcome.ok:
        return task, TaskState.SUCCEEDED
    state = TaskState.WAITING
    failures, losses = task.failures, task.losses
    match outcome.ending:
        case Ending.GIVEN_BACK:
            return task, TaskState.WAITING
        case Ending.INTERRUPTED:
            state = TaskState.INTERRUPTED if stopping else TaskState.WAITING
        case Ending.LOST:
            losses += 1
            state = TaskState.WAITING if losses < policy.max_lost else TaskState.FAILED
        case Ending.CANCELLED:
            return task, TaskState.CANCELLED
        case Ending.ORPHANED:
            pass
        case _:
            failures += 1
            most = policy.max_retries if task.max_retries < 0 else task.max_retries
            state = TaskState.WAITING if failures <= most else TaskState.FAILED
    attempt = task.attempt + (state is TaskState.WAITING)
    return _changed(task, task.lease, attempt, failures, losses), state


def leased(task: Task) -> Task:
    """The task under its next lease."""
    return _changed(task, task.lease + 1, task.attempt, task.failures, task.losses)


def _changed(task: Task, lease: int, attempt: int, failures: int, losses: int) -> Task:
    """The task with other counts; made three times as fast as by `_replace`."""
    return Task(
        task.id,
        task.line,
        task.number,
        lease,
        attempt,
        failures,
        losses,
        task.group,
        task.priority,
        task.sequence,
        task.max_retries,
        task.captured,
    )
