"""What tasks need of a client and what a client offers: the arithmetic of both, one for each side.

A task that asks for nothing is *plain*: it takes one of the places of its client (`-N`). One that
asks for anything has *needs*: its cores, one at least, and other amounts. It takes a place as well
only where the client was told how many there are. While a client runs any task with needs, each
plain one counts there as one core.

The server hands a client only tasks with needs that fit it at once; so no client fetches such tasks
ahead, and those that it holds all run, as soon as plain ones that it has begun make room.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec, layered, unpack_spec

Amounts = tuple[tuple[str, int], ...]
"""Names of resources with how much of each, sorted by name."""


class Needs(NamedTuple):
    """What a task with needs takes while it runs. `memory` is in bytes."""

    cores: int = 1
    memory: int = 0
    gpus: int = 0
    others: Amounts = ()

    def __str__(self) -> str:
        amounts = {name: number for name, number in _amounts(self).items() if number}
        return ", ".join(f"{_shown(name, n)} {_noun(name, n)}" for name, n in amounts.items())


class Offer(NamedTuple):
    """What a client has for tasks with needs. `memory` is in bytes.

    If it `limits_places`, each of them takes one of the client's places as well. Tasks must be over
    `seconds` after the client joined.
    """

    cores: int = 0
    memory: int = 0
    gpus: int = 0
    others: Amounts = ()
    limits_places: bool = False
    seconds: float = math.inf

    def can(self, needs: Needs) -> bool:
        """Whether a client that runs nothing else can run such a task."""
        return (
            needs.cores <= self.cores
            and needs.memory <= self.memory
            and needs.gpus <= self.gpus
            and (not needs.others or _covers(dict(self.others), needs.others))
        )

    def lacks(self, needs: Needs) -> list[str]:
        """What there is too little of, in words."""
        offered = _amounts(self)
        return [
            f"{_shown(name, offered.get(name, 0))} of {_shown(name, wanted)} {name}"
            for name, wanted in _amounts(needs).items()
            if offered.get(name, 0) < wanted
        ]


NOTHING = Offer()
"""What a client offers that can run plain tasks only."""


class Usage:
    """What tasks take of an offer. `places` are those for plain tasks.

    Callers count plain tasks: `plain` is how many there are at present. `number` is
    that of the tasks with needs.
    """

    __slots__ = ("cores", "gpus", "memory", "number", "offer", "others", "places")

    def __init__(self, offer: Offer, places: int) -> None:
        self.offer = offer
        self.places = places
        self.number = self.cores = self.memory = self.gpus = 0
        self.others: dict[str, int] = {}

    def add(self, needs: Needs, sign: int = 1) -> None:
        """A task with needs is there, or with a `sign` of -1 is there no more."""
        cores, memory, gpus, others = needs
        self.number += sign
        self.cores += sign * cores
        self.memory += sign * memory
        self.gpus += sign * gpus
        if others:
            for name, amount in others:
                self.others[name] = self.others.get(name, 0) + sign * amount

    def copy(self) -> "Usage":
        """The same, to try things with."""
        made = Usage(self.offer, self.places)
        made.number, made.cores = self.number, self.cores
        made.memory, made.gpus = self.memory, self.gpus
        if self.others:
            made.others = self.others.copy()
        return made

    def fits(self, needs: Needs, plain: int) -> bool:
        """Whether a task with needs can run beside what is there.

        Of plain tasks no more run than there are places; others wait for these.
        """
        offer, places = self.offer, self.places
        plain = min(plain, places)
        return (
            self.cores + plain + needs.cores <= offer.cores
            and self.memory + needs.memory <= offer.memory
            and self.gpus + needs.gpus <= offer.gpus
            and (not offer.limits_places or self.number + plain < places)
            and (not needs.others or self._covers_others(needs))
        )

    def plain_places(self) -> int:
        """How many plain tasks can run beside the tasks with needs that are there."""
        if not self.number:
            return self.places
        places = self.places - self.number if self.offer.limits_places else self.places
        return max(0, min(places, self.offer.cores - self.cores))

    def missing(self, needs: Needs, plain: int) -> list[str]:
        """Why such a task cannot run beside what is there, in words."""
        offer, plain = self.offer, min(plain, self.places)
        if lacks := offer.lacks(needs):
            return [f"has {what}" for what in lacks]
        used = {name: self.others.get(name, 0) for name, _ in offer.others}
        used |= {"cores": self.cores + plain, "memory": self.memory, "gpus": self.gpus}
        offered = _amounts(offer)
        found = [
            f"has {_shown(name, max(0, offered[name] - used[name]))}"
            f" of {_shown(name, offered[name])} {name} free"
            for name, number in _amounts(needs).items()
            if number and used[name] + number > offered[name]
        ]
        if offer.limits_places and self.number + plain >= self.places:
            found.append("has no free slot")
        return found

    def _covers_others(self, needs: Needs) -> bool:
        offered, used = dict(self.offer.others), self.others
        return all(used.get(name, 0) + n <= offered.get(name, 0) for name, n in needs.others)


class TaskNeeds:
    """Tells the needs of tasks in a run with a default spec; None for a plain task.

    `plain` is what a task at its defaults needs: the caller takes it without a call.
    """

    def __init__(self, default: TaskSpec = DEFAULT_SPEC) -> None:
        self.plain = needs_of(default)
        self.of: Callable[[TaskSpec], Needs | None] = lru_cache(maxsize=4096)(
            lambda spec: needs_of(layered(spec, default))
        )


def needs_of(spec: TaskSpec) -> Needs | None:
    """What a task with these settings needs; None if it is plain."""
    memory = spec.memory_request
    if spec.cores is None and memory is None and spec.gpus is None and not spec.resources:
        return None
    return Needs(spec.cores or 1, memory or 0, spec.gpus or 0, spec.resources)


@lru_cache(maxsize=1024)
def packed_needs(packed: str) -> Needs | None:
    """The same of a packed spec: few are different, and each is asked about for many tasks."""
    return needs_of(unpack_spec(packed))


def expected_seconds(spec: TaskSpec) -> float | None:
    """How long a task with these settings is taken to run; None if nothing tells."""
    if spec.expect is not None:
        return spec.expect
    return None if isinstance(spec.timeout, str) else spec.timeout


def _covers(offered: dict[str, int], wanted: Amounts) -> bool:
    return all(number <= offered.get(name, 0) for name, number in wanted)


def _amounts(of: Needs | Offer) -> dict[str, int]:
    return {"cores": of.cores, "memory": of.memory, "gpus": of.gpus, **dict(of.others)}


def _noun(name: str, number: int) -> str:
    return name[:-1] if number == 1 and name in ("cores", "gpus") else name


def _shown(name: str, number: int) -> str:
    """An amount for a person."""
    return bytes_text(number) if name == "memory" else str(number)


def bytes_text(number: int) -> str:
    """A number of bytes for a person, in a binary unit."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if number >= 1024**power:
            return f"{number / 1024**power:.4g} {unit}"
    return f"{number} B"


NO_NEEDS = TaskNeeds()
"""That of a run whose tasks ask for nothing, but by themselves."""
