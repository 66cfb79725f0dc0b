"""The bundles that wait for a client, in the order of leaving; those behind a barrier stand apart,
and so do those that run alone.

The invariant: a bundle is in `_free` if every client may have all of it, or in `_apart`, with the
others behind the same barrier. So whatever some clients must not have is passed over as one, and
holds up nobody who wants what comes after it. A barrier that is new sorts `_free` again; one that
is gone lets its bundles out to everybody, where they stand.

It has no lock: that of the scheduled queue is held by whoever calls.
"""

import heapq
from collections import deque
from collections.abc import Iterator

from hypershell.core.retry import is_suspect
from hypershell.core.task import Task
from hypershell.server.state.barriers import Barrier, Barriers
from hypershell.server.state.last_chances import LastChances
from hypershell.server.state.matching import Bundle, Match, match
from hypershell.server.state.registry import Client
from hypershell.store.tasks.queue import Key, key_of

MAX_BYTES = 16 * 2**20
"""Bytes of lines here, or in one answer, not counting the last: far below a frame's limit."""

MAX_APART = 20_000
"""Tasks behind barriers that hold up no others; more of them count like all the rest."""


class Bundles:
    """All bundles of the queue. Time is monotonic, in seconds."""

    def __init__(self, barriers: Barriers, max_lost: int) -> None:
        self._barriers = barriers
        self._alone = LastChances(barriers, max_lost)
        self._free: deque[Bundle] = deque()
        self._apart: dict[Barrier, deque[Bundle]] = {}
        self._delayed: list[tuple[float, int, Task]] = []  # a heap
        self._bytes = self._bytes_apart = 0
        self._size = self._size_apart = 0

    def __len__(self) -> int:
        """How many bundles might go to somebody now."""
        return len(self._free) + sum(map(len, self._apart.values())) + len(self._alone)

    @property
    def size(self) -> int:
        """How many tasks are here."""
        return self._size + self._size_apart + len(self._alone) + len(self._delayed)

    @property
    def load(self) -> int:
        """How many of them count against the capacity of the queue."""
        return self._size + max(0, self._size_apart - MAX_APART)

    @property
    def is_heavy(self) -> bool:
        """Whether their lines are so long that no more should come."""
        return self._bytes >= MAX_BYTES or self._bytes_apart >= MAX_BYTES

    def add(self, bundles: list[Bundle], first: bool, now: float) -> None:
        """Add bundles after, or with `first` before, those that are here."""
        free = bundles
        # A task that was out before, as all that are suspect, is a bundle of its own.
        if self._barriers.any() or any(bundle[0].losses for bundle in bundles):
            free = self._set_apart(bundles, first, now)
        if first:
            self._free.extendleft(reversed(free))
        else:
            self._free.extend(free)
        self._size += sum(map(len, free))
        self._bytes += sum(len(task.line) for bundle in free for task in bundle)

    def _set_apart(self, bundles: list[Bundle], first: bool, now: float) -> list[Bundle]:
        """Put tasks behind their barriers; the bundles that are left of the others."""
        free: list[Bundle] = []
        for bundle in reversed(bundles) if first else bundles:
            parts: dict[Barrier | None, Bundle] = {}
            for task in bundle:
                if until := self._barriers.delayed_until(task, now):
                    heapq.heappush(self._delayed, (until, task.id, task))
                    continue
                if self._alone.admits(task):
                    self._alone.add(task, now)
                    continue
                parts.setdefault(self._barriers.barrier_of(task), []).append(task)
            for barrier, part in parts.items():
                if barrier is None:
                    free.append(part)
                    continue
                there = self._apart.setdefault(barrier, deque())
                (there.appendleft if first else there.append)(part)
                self._size_apart += len(part)
                self._bytes_apart += sum(len(task.line) for task in part)
        return free[::-1] if first else free

    def due_at(self) -> float | None:
        """When the first of the tasks that are delayed may go; None if there is none."""
        return self._delayed[0][0] if self._delayed else None

    def release_due(self, now: float) -> int:
        """Let those go whose delay is over, before all others; how many they are."""
        due: list[Bundle] = []
        while self._delayed and self._delayed[0][0] <= now:
            due.append([heapq.heappop(self._delayed)[2]])
        self.add(due, first=True, now=now)
        return len(due)

    def sort(self, now: float) -> None:
        """There is a new barrier: look at all that was free before, and at all behind others."""
        self._replace(sorted(self._others(), key=lambda bundle: key_of(bundle[0])), now)

    def has_for(self, client: Client, now: float) -> bool:
        """Whether there is something that a client may have, and has capacity for."""
        if client.suspects and self._alone.is_alone(client):
            return False
        others = self._has_others_for(client, now)
        if self._alone:
            if not client.claims:
                return others or self._alone.first_for(client, others, now) is not None
            return others and not self._alone.sets_aside(client, now)
        return others

    def _has_others_for(self, client: Client, now: float) -> bool:
        capacity = client.capacity
        if self._free and capacity.fits(self._free[0][0].spec) > 0:
            return True
        return any(
            capacity.fits(bundles[0][0].spec) > 0 and self._barriers.lets(client, barrier, now)
            for barrier, bundles in self._apart.items()
        )

    def take(self, client: Client, now: float) -> list[Task]:
        """Remove and return what a client gets, which is not among its claims yet."""
        if client.suspects or self._alone:
            if self._alone.is_alone(client):
                return []
            if self._alone:
                others_wait = self._has_others_for(client, now)
                if task := self._alone.first_for(client, others_wait, now):
                    self._alone.take(task)
                    return [task]
                if client.claims and self._alone.sets_aside(client, now):
                    return []
        if self._apart:
            return self._take_in_order(client, now)
        found = match(self._free, client.capacity, MAX_BYTES)
        take_first = self._free.popleft
        for _ in range(found.seen):
            take_first()
        if found.left:
            self._free.extendleft(reversed(found.left))
        self._size -= len(found.tasks)
        self._bytes -= found.size
        return found.tasks

    def _take_in_order(self, client: Client, now: float) -> list[Task]:
        """The same where some stand behind barriers: bundle by bundle, as the store has them."""
        lets = self._barriers.lets
        sources = {b: there for b, there in self._apart.items() if lets(client, b, now)}
        tasks: list[Task] = []
        size, capacity = 0, client.capacity
        while bundles := min(
            filter(None, (self._free, *sources.values())), key=_place, default=None
        ):
            found = match((bundles[0],), capacity, MAX_BYTES - size)
            if not found.seen:
                break
            bundles.popleft()
            bundles.extendleft(found.left)
            self._note_taken(bundles is self._free, found)
            tasks += found.tasks
            size += found.size
            for task in found.tasks:
                capacity = capacity.minus(task.spec)
            if is_suspect(tasks[-1]):  # it has one now
                sources = {b: there for b, there in sources.items() if not b.suspect}
        self._apart = {barrier: there for barrier, there in self._apart.items() if there}
        return tasks

    def _note_taken(self, are_free: bool, found: Match) -> None:
        if are_free:
            self._size -= len(found.tasks)
            self._bytes -= found.size
        else:
            self._size_apart -= len(found.tasks)
            self._bytes_apart -= found.size

    def remove(self, pairs: set[tuple[int, int]], now: float) -> list[Task]:
        """Take out these (task id, lease), as far as they are here, and return them."""
        found = self._alone.remove(pairs)
        if self._delayed:
            delayed = [each[2] for each in self._delayed]
            found += [task for task in delayed if (task.id, task.lease) in pairs]
            self._delayed = [d for d in self._delayed if (d[2].id, d[2].lease) not in pairs]
            heapq.heapify(self._delayed)
        bundles = [*self._others()]
        removed = [task for bundle in bundles for task in bundle if (task.id, task.lease) in pairs]
        if removed:
            rest = ([t for t in bundle if (t.id, t.lease) not in pairs] for bundle in bundles)
            self._replace([*filter(None, rest)], now)
        return found + removed

    def clear(self) -> list[Task]:
        """Remove and return all that is here."""
        tasks = [task for bundle in self for task in bundle]
        self._alone.clear()
        self._delayed.clear()
        self._replace([], 0.0)
        return tasks

    def _replace(self, bundles: list[Bundle], now: float) -> None:
        """Put these in the place of all that do not run alone."""
        self._free.clear()
        self._apart.clear()
        self._size = self._size_apart = self._bytes = self._bytes_apart = 0
        self.add(bundles, first=False, now=now)

    def __iter__(self) -> Iterator[Bundle]:
        yield from self._others()
        yield from self._alone
        yield from ([task] for _, _, task in self._delayed)

    def _others(self) -> Iterator[Bundle]:
        for bundles in self._apart.values():
            yield from bundles
        yield from self._free


def _place(bundles: deque[Bundle]) -> Key:
    """Where the first of these stands."""
    return key_of(bundles[0][0])
