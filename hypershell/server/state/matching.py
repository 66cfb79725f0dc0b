"""Who gets what: a pure function over the bundles that are there and what one client can take.

It alone knows the rule. It changes nothing, waits for nothing and takes no lock: the caller
holds the lock of what it is given, and makes the change that it proposes.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from hypershell.core.task import Task

Bundle = list[Task]
"""Tasks that go out together, at least one."""


class Capacity(NamedTuple):
    """What a client can take besides what it holds: a value; today one number, how many tasks."""

    slots: int

    def fits(self, task: Task) -> bool:
        """Whether the client can take this task."""
        return self[0] > 0


class Match(NamedTuple):
    """What a client gets, in order, with the bytes of its lines; and what stays: of the first
    `seen` bundles those in `left`, in order, and all bundles after them.
    """

    tasks: list[Task]
    size: int
    seen: int
    left: list[Bundle]


def match(
    bundles: Iterable[Bundle],
    capacity: Capacity,
    max_bytes: int,
    withheld: Collection[int] = (),
) -> Match:
    """Find what a client gets of these bundles.

    Bundles go in order, the next one as long as its first task fits: a bundle goes out whole, even
    where it is more than the client can take. Tasks whose ids are `withheld` stay, in their place.
    Once the lines of what it gets have `max_bytes` no more is added, not even of the same bundle.
    """
    tasks: list[Task] = []
    left: list[Bundle] = []
    seen = size = 0
    slots = (
        capacity.slots
    )  # a number in the loop: a new value for each task takes as long as all else
    for bundle in bundles:
        offered = [task for task in bundle if task.id not in withheld] if withheld else bundle
        if offered:
            first = offered[0]
            if size >= max_bytes or slots <= 0:
                break
            tasks.append(first)
            size += len(first.line)
            slots -= 1
        seen += 1
        if len(bundle) == 1 and offered:
            continue  # most bundles are of one task
        given = {task.id for task in offered[:1]}
        for task in offered[1:]:
            if size >= max_bytes:  # the rest of a bundle that is too large for one answer
                break
            tasks.append(task)
            size += len(task.line)
            slots -= 1
            given.add(task.id)
        if rest := [task for task in bundle if task.id not in given]:
            left.append(rest)
    return Match(tasks, size, seen, left)
