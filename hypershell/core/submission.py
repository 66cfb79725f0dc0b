"""The terms on which lines are submitted: values that travel as plain ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypershell.core.query.selection import checked_tag, tags_from
from hypershell.core.setting_values import MAX_PATH
from hypershell.core.task import (
    MAX_GROUPS,
    MAX_LINE,
    MAX_PRIORITY,
    Task,
    is_task,
    new_task,
    whole_tag,
)
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec, is_reserved, layered, unpack_spec


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """The options of a submission. A value of None is left to each line, or to the run.

    A setting of a line is its own: `spec` is for those that the line does not give. `made_in` is
    the directory in which the submission was made, b"" if that is not known.
    """

    tags: dict[str, str] = field(default_factory=dict)
    group: int | None = None
    priority: int | None = None
    spec: TaskSpec = DEFAULT_SPEC
    made_in: bytes = b""

    def pack(self) -> dict[str, Any]:
        """Return plain values for the wire."""
        return {
            "tags": [list(pair) for pair in self.tags.items()],
            "group": self.group,
            "priority": self.priority,
            "spec": self.spec.pack(),
            "made_in": self.made_in,
        }

    @classmethod
    def unpack(cls, packed: Any) -> "SubmitOptions":
        """Build from plain values, each of them checked; ValueError."""
        if not isinstance(packed, dict) or set(packed) != set(cls.__slots__):
            raise ValueError("not the options of a submission")
        if not isinstance(packed["spec"], str):
            raise ValueError("not the settings of a task")
        if not isinstance(packed["made_in"], bytes) or len(packed["made_in"]) > MAX_PATH:
            raise ValueError("not a directory")
        tags = dict(tags_from(packed["tags"]))
        for key in tags:
            check_is_tag(key)
        return cls(
            tags=tags,
            group=_whole("group", packed["group"], 0, MAX_GROUPS),
            priority=_whole("priority", packed["priority"], -MAX_PRIORITY, MAX_PRIORITY),
            spec=unpack_spec(packed["spec"]),
            made_in=packed["made_in"],
        )

    def tasks(self, lines: Sequence[bytes], new_id: Callable[[], int]) -> list[Task]:
        """New tasks of lines that can be run; ValueError for a line with a wrong value."""
        made = [new_task(line, 0, new_id()) for line in lines]
        changes = self._changes()
        if self.spec is DEFAULT_SPEC:
            return [task._replace(**changes) for task in made] if changes else made
        return [task._replace(spec=layered(task.spec, self.spec), **changes) for task in made]

    def _changes(self) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        group = self._from_tag("group", self.group, 0, MAX_GROUPS)
        priority = self._from_tag("priority", self.priority, -MAX_PRIORITY, MAX_PRIORITY)
        if group is not None:
            changes["group"] = group
        if priority is not None:
            changes["priority"] = priority
        return changes

    def _from_tag(self, key: str, given: int | None, lowest: int, highest: int) -> int | None:
        """The number that was given, or that a tag says, as it would in a line."""
        if given is None and key in self.tags:
            return whole_tag(self.tags, key, lowest, highest)
        return given


def read_tag(text: str) -> tuple[str, str]:
    """A tag as `KEY:VALUE`, or `KEY` alone with an empty value; ValueError."""
    key, _, value = text.partition(":")
    check_is_tag(key)
    return checked_tag(key, value)


def check_is_tag(key: str) -> None:
    """ValueError for the key of a setting, which is never a tag."""
    if is_reserved(key):
        raise ValueError(f"`{key}` is a reserved key: a setting, not a tag")


def checked_lines(lines: object) -> list[bytes]:
    """A list of lines that can be run; ValueError."""
    if not isinstance(lines, list):
        raise ValueError("not a list of lines")
    for line in lines:
        if not isinstance(line, bytes) or not is_task(line):
            raise ValueError("a blank line or a comment is not a task")
        if b"\0" in line or b"\n" in line or len(line) > MAX_LINE:
            raise ValueError(
                "a line that cannot be run: it is too long, or has a newline or a NUL byte"
            )
    return lines


def _whole(name: str, value: object, lowest: int, highest: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be a whole number from {lowest} to {highest}")
    return value
