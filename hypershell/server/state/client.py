"""One client as the server knows it: what it holds, what it has begun of it, what it can take.

Callers hold the lock of the registry and the scheduled queue.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.resources import NOTHING, Needs, Offer, TaskNeeds, Usage
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC
from hypershell.runtime import threads
from hypershell.server.state.matching import Capacity, Room
from hypershell.wire.worker_messages import FIRST_SESSION, Phase

if TYPE_CHECKING:
    from hypershell.server.state.lanes import Lane

Pairs = list[tuple[int, int]]
"""Tasks under a lease: (task id, lease) each."""

GONE = 0
"""The session of a client that is not registered."""


@dataclass(slots=True, eq=False)
class Client:
    """One client. `claims` are the tasks that it holds: id and lease.

    `needs` are those of the claims that have any, and `usage` is what they take of its offer, which
    is good until `ends_at`. One that `is_held` gets nothing. Whether
    it `is_proven`, and the rest of that, is the guard's. The number of its slots was changed to
    `new_slots`, if that is not 0, and no answer has said so. If it is set aside for tasks with
    needs, their `lane` says so.

    `begun` are the ids of those that are known to have begun; `suspects` are those that clients
    died of before, with how many. `cancelled` are those of its claims that it must stop,
    `unannounced` those of these that no answer of its present session has named. `calls` are under
    way. While outcomes that it gave wait to be recorded, `giving` is not set.
    """

    id: str
    host: str
    pid: int
    slots: int
    heard: float
    session: int = FIRST_SESSION
    calls: int = 0
    giving: threads.Event | None = None
    want: int = 0
    known_phase: Phase = Phase.RUNNING
    claims: dict[int, int] = field(default_factory=dict)
    needs: dict[int, Needs] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    suspects: dict[int, int] = field(default_factory=dict)
    cancelled: set[tuple[int, int]] = field(default_factory=set)
    unannounced: set[tuple[int, int]] = field(default_factory=set)
    done: int = 0
    failed: int = 0
    load: float | None = None
    memory_percent: float | None = None
    ends_at: float = math.inf
    is_held: bool = False
    is_set_aside: bool = False
    is_proven: bool = False
    failures_in_row: int = 0
    failing_since: float = 0.0
    stood_at: tuple[int, int] = (0, 0)
    unconfirmed: int = 0
    new_slots: int = 0
    lane: "Lane | None" = None
    usage: Usage = field(init=False)

    def __post_init__(self) -> None:
        self.usage = Usage(NOTHING, self.slots)

    def offers(self, offer: Offer, now: float) -> None:
        """This is what it has for tasks with needs, from this monotonic time on."""
        self.usage.offer = offer
        self.ends_at = now + offer.seconds

    def set_slots(self, slots: int) -> None:
        """It is to run so many tasks at a time; it has not heard of that yet."""
        self.slots = self.new_slots = self.usage.places = slots

    @property
    def capacity(self) -> Capacity:
        """How many plain tasks it wants besides its claims."""
        number = self.usage.number
        if not number:
            return Capacity(self.want - len(self.claims))
        # None of them is fetched ahead while it has others: they take its cores from those.
        plain = len(self.claims) - number
        return Capacity(min(self.want, self.usage.plain_places()) - plain)

    def room(self) -> Room:
        """What it can take now."""
        return Room(self.usage.copy(), len(self.claims) - self.usage.number, self.want)

    def can_take(self, needs: Needs | None) -> bool:
        """Whether it can take a task with these needs now, or a plain one."""
        if needs is None:
            return self.capacity.slots > 0
        plain = len(self.claims) - self.usage.number
        return self.want > 0 and self.usage.fits(needs, plain)

    def claim(self, tasks: Iterable[Task], needs: TaskNeeds) -> None:
        """It holds these tasks from now on."""
        claims, plain = self.claims, needs.plain
        for task in tasks:
            claims[task.id] = task.lease
            if task.losses:  # `is_suspect`, without a call for each task
                self.suspects[task.id] = task.losses
            own = plain if task.spec is DEFAULT_SPEC else needs.of(task.spec)
            if own is not None:
                self.needs[task.id] = own
                self.usage.add(own)

    def note_begun(self, pairs: Iterable[tuple[int, int]]) -> Pairs:
        """These have begun, as far as they are its claims; those of which that was not known."""
        mine = [pair for pair in pairs if self.claims.get(pair[0]) == pair[1]]
        new = [pair for pair in mine if pair[0] not in self.begun]
        self.begun.update(pair[0] for pair in new)
        return new

    def release(self, task_id: int, lease: int) -> bool:
        """It does not hold this task under this lease any more; whether it did."""
        if self.claims.get(task_id) != lease:
            return False
        del self.claims[task_id]
        self.begun.discard(task_id)
        if self.needs and (needs := self.needs.pop(task_id, None)) is not None:
            self.usage.add(needs, -1)
        if self.suspects:
            self.suspects.pop(task_id, None)
        if self.cancelled:
            self.cancelled.discard((task_id, lease))
            self.unannounced.discard((task_id, lease))
        return True

    def give_all(self, ending_of: Callable[[tuple[int, int]], Ending]) -> list[Outcome]:
        """It holds nothing any more; the outcomes of what it held."""
        held = [Outcome(*pair, ending_of(pair)) for pair in self.claims.items()]
        self.claims.clear()
        self.needs.clear()
        self.usage = Usage(self.usage.offer, self.slots)
        return held
