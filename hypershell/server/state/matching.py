"""Who gets what: a pure function over the bundles that are there and what one client can take.

It alone knows the rule. It changes nothing, waits for nothing and takes no lock: whoever calls it
holds the lock of what it is given, and makes the change that it proposes.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from hypershell.core.task import Task

Bundle = list[Task]
"""Tasks that go out together, at least one."""


class Capacity(NamedTuple):
    """What a client can take besides what it holds: a value, made anew by each change.

    Today one number: how many more tasks.
    """

    slots: int

    def fits(self, task: Task) -> bool:
        """Whether the client can take this task."""
        return self.slots > 0

    def minus(self, task: Task) -> "Capacity":
        """What is left once it has this task; less than nothing after more than it can take."""
        return Capacity(self.slots - 1)


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
    for bundle in bundles:
        offered = [task for task in bundle if task.id not in withheld] if withheld else bundle
        if offered and (size >= max_bytes or not capacity.fits(offered[0])):
            break
        seen += 1
        before = len(tasks)
        for task in offered:
            if size >= max_bytes:  # the rest of a bundle that is too large for one answer
                break
            tasks.append(task)
            size += len(task.line)
            capacity = capacity.minus(task)
        if len(tasks) - before < len(bundle):
            given = {task.id for task in tasks[before:]}
            left.append([task for task in bundle if task.id not in given])
    return Match(tasks, size, seen, left)
