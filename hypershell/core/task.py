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

from hypershell.core.task_spec import (
    DEFAULT_SPEC,
    TaskSpec,
    is_reserved,
    spec_of_keys,
    unpack_spec,
)
from hypershell.core.text import bytes_of

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
    `spec` has its other settings; what it leaves at the default is as the run has it.
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
    spec: TaskSpec = DEFAULT_SPEC


class Claim(NamedTuple):
    """A task as a client holds it: what to run, under which lease, and with which settings.

    `number` is that of its line, as `Task` has it.
    """

    task_id: int
    lease: int
    attempt: int
    command: bytes
    packed_spec: str = ""
    number: int = 0

    @property
    def spec(self) -> TaskSpec:
        """The settings of the task, with those of the run where it has none of its own."""
        return unpack_spec(self.packed_spec)


def input_of(line: bytes, spec: TaskSpec) -> bytes:
    """What an input has for a task with this line, as it is to be read again."""
    return line if spec.record is None else bytes_of(spec.record)


def new_task(line: bytes, number: int, task_id: int) -> Task:
    """The task of one line of input, with the group, the priority and the settings that it gives.

    ValueError if one of these has a wrong value, or is of a later release.
    """
    if b"HYPERSHELL:" not in line or not (keys := _keys_of(line)):
        return Task(task_id, line, number, sequence=2 * task_id)
    return Task(
        task_id,
        line,
        number,
        group=whole_tag(keys, "group", 0, MAX_GROUPS),
        priority=whole_tag(keys, "priority", -MAX_PRIORITY, MAX_PRIORITY),
        sequence=2 * task_id,
        spec=spec_of_keys((key, value) for key, value in keys.items() if is_reserved(key)),
    )


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
    """The tags that a line sets: all its keys but those of settings."""
    return {key: value for key, value in _keys_of(line).items() if not is_reserved(key)}


def _keys_of(line: bytes) -> dict[str, str]:
    """The keys and values of a line's trailing `# HYPERSHELL: key:value ...`."""
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
        task.spec,
    )
