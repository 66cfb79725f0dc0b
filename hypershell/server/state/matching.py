"""Who gets what: a pure function over the bundles that are there and what one client can take.

It alone knows the rule. It changes nothing, waits for nothing and takes no lock: the caller
holds the lock of what it is given, and makes the change that it proposes.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hypershell.core.resources import Needs, Usage
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec

Bundle = list[Task]
"""Tasks that go out together, at least one."""


class Capacity(NamedTuple):
    """What a client can take besides what it holds: a value; each change makes a new one.

    This is for plain tasks: the capacity is one number, and each takes one of it.
    """

    slots: int

    def fits(self, spec: TaskSpec) -> int:
        """How many tasks with this spec the client can take; 0 or less if it can take none."""
        return self.slots

    def minus(self, spec: TaskSpec, number: int = 1) -> "Capacity":
        """What is left once it has this many of them, which may be more than it can take."""
        return Capacity(self.slots - number)


class Room:
    """What a client can take while it is given tasks one by one: each takes some of it."""

    __slots__ = ("_plain", "_usage", "_want")

    def __init__(self, usage: Usage, plain: int, want: int) -> None:
        self._usage = usage
        self._plain = plain
        self._want = want

    def fits(self, needs: Needs | None) -> bool:
        """Whether a task with these needs, or a plain one, can be taken."""
        if needs is not None:
            return self._want > 0 and self._usage.fits(needs, self._plain)
        if self._usage.number:
            return self._plain < min(self._want, self._usage.plain_places())
        return self._plain < self._want

    def free(self) -> tuple[int, int, int]:
        """Cores, memory and GPUs for a task with needs; no core if it cannot have one at all."""
        usage = self._usage
        offer, plain = usage.offer, min(self._plain, usage.places)
        cores = offer.cores - usage.cores - plain
        if self._want <= 0 or (offer.limits_places and usage.number + plain >= usage.places):
            cores = 0
        return cores, offer.memory - usage.memory, offer.gpus - usage.gpus

    def add(self, needs: Needs | None) -> None:
        """Such a task was taken."""
        if needs is None:
            self._plain += 1
        else:
            self._usage.add(needs)


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
) -> Match:
    """Find what a client gets of these bundles.

    Bundles go in order, the next one as long as its first task fits: a bundle goes out whole, even
    where it is more than the client can take. Once the lines of what it gets have `max_bytes` no
    more is added, not even of the same bundle.
    """
    tasks: list[Task] = []
    left: list[Bundle] = []
    seen = size = 0
    # Most tasks have one spec: those that follow each other are counted, and taken off together.
    spec, count, most = DEFAULT_SPEC, 0, capacity.fits(DEFAULT_SPEC)
    for bundle in bundles:
        first = bundle[0]
        if first.spec is not spec:
            capacity = capacity.minus(spec, count)
            spec, count, most = first.spec, 0, capacity.fits(first.spec)
        if size >= max_bytes or count >= most:
            break
        tasks.append(first)
        size += len(first.line)
        count += 1
        seen += 1
        if len(bundle) == 1:
            continue  # most bundles are of one task
        for place, task in enumerate(bundle[1:], 1):
            if size >= max_bytes:  # the rest of a bundle that is too large for one answer
                left.append(bundle[place:])
                break
            tasks.append(task)
            size += len(task.line)
            if task.spec is spec:
                count += 1
            else:
                capacity = capacity.minus(task.spec)
                most = capacity.fits(spec)
    return Match(tasks, size, seen, left)
