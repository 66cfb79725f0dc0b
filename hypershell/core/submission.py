"""The terms on which lines are submitted: values that travel as plain ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypershell.core.query.selection import checked_tag, tags_from
from hypershell.core.task import (
    MAX_GROUPS,
    MAX_LINE,
    MAX_PRIORITY,
    Task,
    is_task,
    new_task,
    whole_tag,
)

MAX_RETRIES = 10**6


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """What a submission says beside its lines. What is None is left to each line, or to the run.

    Of `captured` tasks, what they print is kept with them.
    """

    tags: dict[str, str] = field(default_factory=dict)
    group: int | None = None
    priority: int | None = None
    max_retries: int | None = None
    captured: bool = False

    def pack(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "tags": [list(pair) for pair in self.tags.items()],
            "group": self.group,
            "priority": self.priority,
            "max_retries": self.max_retries,
            "captured": self.captured,
        }

    @classmethod
    def unpack(cls, packed: Any) -> "SubmitOptions":
        """From plain values, checked one by one; ValueError."""
        if not isinstance(packed, dict) or set(packed) != set(cls.__slots__):
            raise ValueError("not the terms of a submission")
        if not isinstance(packed["captured"], bool):
            raise ValueError("captured is yes or no")
        return cls(
            tags=dict(tags_from(packed["tags"])),
            group=_whole("group", packed["group"], 0, MAX_GROUPS),
            priority=_whole("priority", packed["priority"], -MAX_PRIORITY, MAX_PRIORITY),
            max_retries=_whole("max_retries", packed["max_retries"], 0, MAX_RETRIES),
            captured=packed["captured"],
        )

    def tasks(self, lines: Sequence[bytes], new_id: Callable[[], int]) -> list[Task]:
        """New tasks of lines that can be run; ValueError if one names no group that there is."""
        made = [new_task(line, 0, new_id()) for line in lines]
        changes = self._changes()
        return [task._replace(**changes) for task in made] if changes else made

    def _changes(self) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        group = self._from_tag("group", self.group, 0, MAX_GROUPS)
        priority = self._from_tag("priority", self.priority, -MAX_PRIORITY, MAX_PRIORITY)
        if group is not None:
            changes["group"] = group
        if priority is not None:
            changes["priority"] = priority
        if self.max_retries is not None:
            changes["max_retries"] = self.max_retries
        if self.captured:
            changes["captured"] = True
        return changes

    def _from_tag(self, key: str, given: int | None, lowest: int, highest: int) -> int | None:
        """The number that was given, or that a tag says, as it would in a line."""
        if given is None and key in self.tags:
            return whole_tag(self.tags, key, lowest, highest)
        return given


def read_tag(text: str) -> tuple[str, str]:
    """A tag as `KEY:VALUE`, or `KEY` alone with an empty value; ValueError."""
    key, _, value = text.partition(":")
    return checked_tag(key, value)


def checked_lines(lines: object) -> list[bytes]:
    """A list of lines that can be run; ValueError."""
    if not isinstance(lines, list):
        raise ValueError("not a list of lines")
    for line in lines:
        if not isinstance(line, bytes) or not is_task(line):
            raise ValueError("not a line with a task")
        if b"\0" in line or b"\n" in line or len(line) > MAX_LINE:
            raise ValueError("a line that cannot be run")
    return lines


def _whole(name: str, value: object, lowest: int, highest: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{name} is a whole number from {lowest} to {highest}")
    return value
