"""Bundles that some clients must not have now, each lane with those that are kept by the same.

A lane of tasks with needs may be passed over again and again by smaller ones, as these fit whenever
anything ends. So once none of a lane was handed out for PATIENCE_SECONDS though a connected client
could run its first, that client is set aside for it: it is given nothing more until enough of what
it runs has ended. A lane has one client set aside at most, and a client is for one lane, that which
has waited longest. So the first task of a lane starts at the latest when, after PATIENCE_SECONDS, a
client of its size has finished what it runs; lanes that wait for the same client take turns.

The lock of the scheduled queue is held by whoever calls. Time is monotonic, in seconds.
"""

import heapq
from collections import deque
from collections.abc import Iterator

from hypershell.core.resources import Needs
from hypershell.core.task import Task
from hypershell.server.state.barriers import Barrier, Barriers
from hypershell.server.state.client import GONE, Client
from hypershell.server.state.matching import Bundle, Room
from hypershell.store.tasks.queue import Key, key_of

PATIENCE_SECONDS = 10.0
"""For how long the tasks of a lane are passed over until a client is set aside for them."""


class Lane:
    """The bundles behind one barrier, in order, with since when the first of them waits."""

    __slots__ = ("aside", "bundles", "since")

    def __init__(self, now: float) -> None:
        self.bundles: deque[Bundle] = deque()
        self.since = now
        self.aside: Client | None = None


class Lanes:
    """All lanes, by their barriers."""

    def __init__(self, barriers: Barriers) -> None:
        self._barriers = barriers
        self._lanes: dict[Barrier, Lane] = {}
        self._former: dict[Barrier, Lane] = {}  # while all are put in again
        self.size = 0
        """How many tasks are here."""
        self.bytes = 0
        """And the bytes of their lines."""

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __len__(self) -> int:
        return sum(len(lane.bundles) for lane in self._lanes.values())

    def __iter__(self) -> Iterator[Bundle]:
        for lane in self._lanes.values():
            yield from lane.bundles

    def add(self, barrier: Barrier, bundle: Bundle, first: bool, now: float) -> None:
        """A bundle stands behind a barrier, after or with `first` before the others there."""
        lane = self._lanes.get(barrier)
        if lane is None:
            lane = self._lanes[barrier] = self._former.get(barrier, Lane(now))
        # Tasks with needs go one by one: each is a bundle of its own.
        parts = [bundle] if barrier.needs is None else [[task] for task in bundle]
        if first:
            lane.bundles.extendleft(reversed(parts))
        else:
            lane.bundles.extend(parts)
        self.size += len(bundle)
        self.bytes += sum(len(task.line) for task in bundle)

    def clear(self) -> None:
        """There are none any more. Those that come again before `forget_former` waited before."""
        self._former, self._lanes = self._lanes, {}
        for lane in self._former.values():
            lane.bundles.clear()
        self.size = self.bytes = 0

    def forget_former(self) -> None:
        """A lane that comes now is new."""
        self._former.clear()

    def needs(self) -> set[Needs]:
        """What the tasks here need, each once."""
        return {barrier.needs for barrier in self._lanes if barrier.needs is not None}

    def tasks_with(self, needs: Needs) -> list[Task]:
        """Those that need this."""
        return [
            task
            for barrier, lane in self._lanes.items()
            if barrier.needs == needs
            for bundle in lane.bundles
            for task in bundle
        ]

    def has_for(self, client: Client, now: float) -> bool:
        """Whether there is something that a client may have, and has room for."""
        if (lane := self._set_aside_for(client)) is not None:
            return client.can_take(self._barrier_of(lane).needs)
        return any(
            client.can_take(barrier.needs) and self._barriers.lets(client, barrier, now)
            for barrier in self._lanes
        )

    def due(self, client: Client, now: float) -> Barrier | None:
        """The lane for which a client is set aside, or that has waited too long and is its next."""
        if (lane := self._set_aside_for(client)) is not None:
            return self._barrier_of(lane)
        overdue = [
            (lane.since, n, barrier)
            for n, (barrier, lane) in enumerate(self._lanes.items())
            if barrier.needs is not None and now - lane.since >= PATIENCE_SECONDS
        ]
        for _, _, barrier in sorted(overdue, key=lambda each: each[:2]):
            is_free = not _is_set_aside(self._lanes[barrier])
            if is_free and self._barriers.lets(client, barrier, now):
                return barrier
        return None

    def set_aside(self, client: Client, barrier: Barrier) -> None:
        """Give a client nothing until it has room for the first behind this barrier."""
        lane = self._lanes[barrier]
        lane.aside, client.lane = client, lane

    def heads(self, client: Client, room: Room, now: float) -> list[tuple[Key, int, Barrier]]:
        """A heap of the lanes of which a client may have the first, by where that stands."""
        lets = self._barriers.lets
        found = [
            (key_of(lane.bundles[0][0]), n, barrier)
            for n, (barrier, lane) in enumerate(self._lanes.items())
            if room.fits(barrier.needs) and lets(client, barrier, now)
        ]
        heapq.heapify(found)
        return found

    def bundles_behind(self, barrier: Barrier) -> deque[Bundle]:
        """Those of one lane."""
        return self._lanes[barrier].bundles

    def first_behind(self, barrier: Barrier) -> Task | None:
        """The first task of a lane, if there is one."""
        lane = self._lanes.get(barrier)
        return None if lane is None else lane.bundles[0][0]

    def note_taken(self, barrier: Barrier, number: int, size: int, now: float) -> None:
        """Tasks of a lane, with so many bytes, were taken from its bundles."""
        lane = self._lanes[barrier]
        self.size -= number
        self.bytes -= size
        lane.since, lane.aside = now, None
        if not lane.bundles:
            del self._lanes[barrier]

    def _barrier_of(self, lane: Lane) -> Barrier:
        return next(barrier for barrier, each in self._lanes.items() if each is lane)

    def _set_aside_for(self, client: Client) -> Lane | None:
        if client.lane is None:
            return None
        lane = client.lane
        if lane.aside is client and lane.bundles and client.want > 0 and not client.is_held:
            return lane
        client.lane = None
        return None


def _is_set_aside(lane: Lane) -> bool:
    """Whether a client that still takes tasks is set aside for a lane."""
    aside = lane.aside
    if aside is None or aside.session == GONE or aside.is_held:
        return False
    return aside.want > 0 and aside.lane is lane
