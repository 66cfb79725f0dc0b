"""A task, the claim of a client on it, and what a line of input says of its task.

A lease is a number that grows each time the task is handed out, so that an answer to an older one
is told apart from an answer to this one; an attempt is counted only when something may have been
started under its lease.

Both records are made once or more for every task: named tuples are made three times as fast as
dataclasses are.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

MAX_LINE = 32 * 2**20
"""Bytes in a line; more could not travel in one frame."""

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
        raise ValueError(f"the tag {key} wants a whole number of {lowest} to {highest}: {text}")
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


def leased(task: Task) -> Task:
    """The task under its next lease."""
    return with_counts(task, task.lease + 1, task.attempt, task.failures, task.losses)


def with_counts(task: Task, lease: int, attempt: int, failures: int, losses: int) -> Task:
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
