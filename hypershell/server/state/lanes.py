"""Bundles that some clients must not have now, each lane with those that are kept by the same.

A lane of tasks with needs may be passed over again and again by smaller ones, as these fit whenever
anything ends. So once none of a lane was handed out for PATIENCE_SECONDS though a connected client
could run its first, that client is set aside for it: it is given nothing more until enough of what
it runs has ended. A lane has one client set aside at most, and a client is for one lane, that which
has waited longest. So the first task of a lane starts at the latest when, after PATIENCE_SECONDS, a
client of its size has finished what it runs; lanes that wait for the same client take turns.

Callers hold the lock of the scheduled queue. Time is monotonic, in seconds.
"""

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


_NOTHING = Needs(-(2**60), -(2**60), -(2**60))
"""What a plain task takes of what is for others."""


_LAST: Key = (2**62, 0, 0, 0)
"""After all places."""


class Lane:
    """The bundles behind one barrier, in order, with since when the first of them waits.

    `key` is where that stands. A lane `is_open` to every client that has room for what it needs.
    """

    __slots__ = (
        "aside",
        "barrier",
        "bundles",
        "cores",
        "gpus",
        "is_open",
        "key",
        "memory",
        "since",
    )

    def __init__(self, barrier: Barrier, now: float) -> None:
        self.barrier = barrier
        self.cores, self.memory, self.gpus, _ = barrier.needs or _NOTHING
        self.is_open = barrier == Barrier(None, (), needs=barrier.needs)
        self.key: Key = (0, 0, 0, 0)
        self.bundles: deque[Bundle] = deque()
        self.since = now
        self.aside: Client | None = None


class Lanes:
    """All lanes, by their barriers."""

    def __init__(self, barriers: Barriers) -> None:
        self._barriers = barriers
        self._lanes: dict[Barrier, Lane] = {}
        self._former: dict[Barrier, Lane] = {}  # while all are put in again
        self._overdue_at = 0.0  # nothing is before
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
            lane = self._lanes[barrier] = self._former.get(barrier, Lane(barrier, now))
        # Tasks with needs go one by one: each is a bundle of its own.
        parts = [bundle] if barrier.needs is None else [[task] for task in bundle]
        if first:
            lane.bundles.extendleft(reversed(parts))
        else:
            lane.bundles.extend(parts)
        lane.key = key_of(lane.bundles[0][0])
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
            return client.can_take(lane.barrier.needs)
        return self.next_for(client, client.room(), now, None, has_suspect=False) is not None

    def due(self, client: Client, now: float) -> Lane | None:
        """The lane for which a client is set aside, or that has waited too long and is its next."""
        if client.lane is not None and (lane := self._set_aside_for(client)) is not None:
            return lane
        if now < self._overdue_at:
            return None
        with_needs = [lane for lane in self._lanes.values() if lane.barrier.needs is not None]
        first = min((lane.since for lane in with_needs), default=now)
        self._overdue_at = first + PATIENCE_SECONDS  # those that come, come later
        overdue = [lane for lane in with_needs if now - lane.since >= PATIENCE_SECONDS]
        for lane in sorted(overdue, key=lambda each: each.since):
            if not _is_set_aside(lane) and self._barriers.lets(client, lane.barrier, now):
                return lane
        return None

    def set_aside(self, client: Client, lane: Lane) -> None:
        """Give a client nothing until it has room for the first of this lane."""
        lane.aside, client.lane = client, lane

    def next_for(
        self, client: Client, room: Room, now: float, before: Key | None, has_suspect: bool
    ) -> Lane | None:
        """The lane of which a client gets the first bundle next: the first in order that it may
        have and has room for, if that stands before a place; None if there is none.

        Many lanes are looked at for each task that is handed out, hence the plain numbers.
        """
        cores, memory, gpus = room.free()
        found, best = None, _LAST if before is None else before
        for lane in self._lanes.values():
            if lane.cores > cores or lane.memory > memory or lane.gpus > gpus or lane.key >= best:
                continue
            barrier = lane.barrier
            needs = barrier.needs
            if (needs is None or needs.others) and not room.fits(needs):
                continue
            if not lane.is_open:
                if has_suspect and barrier.suspect:
                    continue  # it has one now
                if not self._barriers.lets(client, barrier, now):
                    continue
            found, best = lane, lane.key
        return found

    def note_taken(self, lane: Lane, number: int, size: int, now: float) -> None:
        """Tasks of a lane, with so many bytes, were taken from its bundles."""
        self.size -= number
        self.bytes -= size
        lane.since, lane.aside = now, None
        if lane.bundles:
            lane.key = key_of(lane.bundles[0][0])
        else:
            del self._lanes[lane.barrier]

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
