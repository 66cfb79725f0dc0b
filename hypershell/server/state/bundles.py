"""The bundles that wait for a client, in the order of leaving; those behind a barrier stand apart,
and so do those that run alone, and those that are delayed.

The invariant: a bundle is in `_free` if every client may have all of it, or in `_apart`, in the
lane of the barrier that it is behind. So whatever some clients must not have is passed over as one,
and holds up nobody who wants what comes after it. A barrier that is new sorts `_free` again; one
that is gone lets its bundles out to everybody, where they stand.

It has no lock: that of the scheduled queue is held by whoever calls.
"""

import heapq
from collections import deque
from collections.abc import Iterator

from hypershell.core.resources import Needs
from hypershell.core.retry import is_suspect
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC
from hypershell.server.state.barriers import Barrier, Barriers
from hypershell.server.state.client import Client
from hypershell.server.state.lanes import Lane, Lanes
from hypershell.server.state.last_chances import LastChances
from hypershell.server.state.matching import Bundle, Capacity, match
from hypershell.store.tasks.queue import key_of

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
        self._apart = Lanes(barriers)
        self._delayed: list[tuple[float, int, Task]] = []  # a heap
        self._bytes = self._size = 0

    def __len__(self) -> int:
        """How many bundles might go to somebody now."""
        return len(self._free) + len(self._apart) + len(self._alone)

    @property
    def size(self) -> int:
        """How many tasks are here."""
        return self._size + self._apart.size + len(self._alone) + len(self._delayed)

    @property
    def load(self) -> int:
        """How many of them count against the capacity of the queue."""
        return self._size + max(0, self._apart.size - MAX_APART)

    @property
    def is_heavy(self) -> bool:
        """Whether their lines are so long that no more should come."""
        return self._bytes >= MAX_BYTES or self._apart.bytes >= MAX_BYTES

    def add(self, bundles: list[Bundle], first: bool, now: float) -> None:
        """Add bundles after, or with `first` before, those that are here."""
        free = bundles
        # A task that was out before, as all that are suspect, is a bundle of its own; and so is one
        # with needs.
        if self._barriers.any() or any(_may_be_apart(bundle[0]) for bundle in bundles):
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
                self._apart.add(barrier, part, first, now)
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
        if client.want <= 0 or client.is_held or (client.suspects and self._alone.is_alone(client)):
            return False
        others = self._has_others_for(client, now)
        if self._alone:
            if not client.claims:
                return others or self._alone.first_for(client, others, now) is not None
            return others and not self._alone.sets_aside(client, now)
        return others

    def _has_others_for(self, client: Client, now: float) -> bool:
        if client.lane is None and self._free and client.capacity.slots > 0:
            return True
        return bool(self._apart) and self._apart.has_for(client, now)

    def needs(self) -> set[Needs]:
        """What the tasks here need, but for those that run alone."""
        return self._apart.needs()

    def tasks_with(self, needs: Needs) -> list[Task]:
        """Those of them that need this."""
        return self._apart.tasks_with(needs)

    def take(self, client: Client, now: float, most: int = 2**31) -> list[Task]:
        """Remove and return what a client gets, which is not among its claims yet.

        Once it has `most` tasks there are no more bundles.
        """
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
            return self._take_in_order(client, now, most)
        capacity = client.capacity
        if capacity.slots > most:
            capacity = Capacity(most)
        found = match(self._free, capacity, MAX_BYTES)
        take_first = self._free.popleft
        for _ in range(found.seen):
            take_first()
        if found.left:
            self._free.extendleft(reversed(found.left))
        self._size -= len(found.tasks)
        self._bytes -= found.size
        return found.tasks

    def _take_in_order(self, client: Client, now: float, most: int) -> list[Task]:
        """The same where some stand behind barriers: bundle by bundle, as the store has them."""
        room = client.room()
        tasks: list[Task] = []
        size = 0
        if (due := self._apart.due(client, now)) is not None:
            if not room.fits(due.barrier.needs):
                self._apart.set_aside(client, due)
                return []
            tasks, size = self._take_first(due, MAX_BYTES, now)
            room.add(due.barrier.needs)
        has_suspect = any(map(is_suspect, tasks))
        while size < MAX_BYTES and len(tasks) < most:
            free = key_of(self._free[0][0]) if self._free and room.fits(None) else None
            lane = self._apart.next_for(client, room, now, free, has_suspect)
            if lane is None and free is None:
                break
            taken, taken_size = self._take_first(lane, MAX_BYTES - size, now)
            size += taken_size
            tasks += taken
            needs = None if lane is None else lane.barrier.needs
            for _ in taken:
                room.add(needs)
            has_suspect = has_suspect or (lane is not None and lane.barrier.suspect)
        return tasks

    def _take_first(self, lane: Lane | None, most_bytes: int, now: float) -> tuple[list[Task], int]:
        """Take the first bundle that is free, or of a lane, and so many of its bytes."""
        bundles = self._free if lane is None else lane.bundles
        tasks = bundles.popleft()
        size = len(tasks[0].line)
        if len(tasks) > 1:
            tasks, size, _, left = match((tasks,), Capacity(1), most_bytes)
            bundles.extendleft(left)
        if lane is None:
            self._size -= len(tasks)
            self._bytes -= size
        else:
            self._apart.note_taken(lane, len(tasks), size, now)
        return tasks, size

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
        self._size = self._bytes = 0
        self.add(bundles, first=False, now=now)
        self._apart.forget_former()

    def __iter__(self) -> Iterator[Bundle]:
        yield from self._others()
        yield from self._alone
        yield from ([task] for _, _, task in self._delayed)

    def _others(self) -> Iterator[Bundle]:
        yield from self._apart
        yield from self._free


def _may_be_apart(task: Task) -> bool:
    """Whether a task may need more than others, or be suspect: a look at what is seldom so."""
    return task.losses > 0 or task.spec is not DEFAULT_SPEC
