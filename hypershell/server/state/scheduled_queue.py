"""The scheduled queue: bundles under lease that no client has taken yet.

The invariant: a task that is leased is in a bundle here, or among the claims of one client, or on
its way from the store; it goes from the first to the second in one step under the lock. Which
bundles a client gets is decided by `matching` alone, of those that `barriers` let it have; here is
who waits for them, and who is woken.

The scheduler's loop offers, each client's call takes, in the thread of its connection. A call that
finds nothing parks: it sleeps on a condition of its own, and is in `_parked` in the order in which
it came. Each offer of bundles wakes as many hungry calls as there are bundles, the one parked
longest first, and takes them out of `_parked` at once, so that the next bundle is for another; they
count in `_coming` until they run. A call that was woken and leaves bundles here wakes the next one
before it sleeps again or returns: else a bundle could lie here while a hungry call sleeps. A call
is hungry only for what its client may have now: else two could wake each other for ever for a
bundle that neither may take.

The lock is the registry's as well, as claims change with the bundles. Nothing is taken inside it,
and no event is published under it: `CapacityFreed` and `PhaseChanged` follow when it is free.
"""

import itertools
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping

from hypershell.access.errors import shown
from hypershell.core.resources import Needs, TaskNeeds
from hypershell.core.retry import Policy
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec
from hypershell.runtime import clock, threads
from hypershell.server.events import CapacityFreed, EventBus, PhaseChanged, TasksLeased
from hypershell.server.state.barriers import Barriers
from hypershell.server.state.bundles import Bundles
from hypershell.server.state.client import GONE, Client
from hypershell.server.state.explaining import why_not
from hypershell.server.state.matching import Bundle
from hypershell.server.state.rate import Rate
from hypershell.wire.worker_messages import Phase

log = logging.getLogger(__name__)

CAPACITY = 1000
"""Tasks under lease ahead of demand; or a few bundles, where they are large."""

ANY_NUMBER = 2**31
"""More tasks than are ever handed out at once."""

_LEAST_PAUSE = 0.01

_SEEK_SECONDS = 3600.0
"""How long a cancelled task may be on its way to the client that must learn of it."""


class ScheduledQueue:
    """Bundles in the order of leaving. Publishes TasksLeased, CapacityFreed, PhaseChanged.

    `clients` are those that are connected, by their ids; `default` is the spec of tasks that say
    nothing themselves. A task that lost `max_lost` clients is not given to another. No more than
    `a_second` tasks are handed out in a second.
    """

    def __init__(
        self,
        lock: threads.RLock,
        bundlesize: int,
        bus: EventBus,
        clients: Mapping[str, Client] | None = None,
        default: TaskSpec = DEFAULT_SPEC,
        max_lost: int = Policy().max_lost,
        a_second: float = math.inf,
    ) -> None:
        self._lock = lock
        self._bus = bus
        self._capacity = max(CAPACITY, 2 * bundlesize)
        self._barriers = Barriers({} if clients is None else clients, default)
        self._needs = TaskNeeds(default)
        self._bundles = Bundles(self._barriers, max_lost)
        self._said: set[str] = set()  # directories that no client can enter
        self._parked: OrderedDict[threads.Condition, Client] = OrderedDict()
        self._sought: dict[tuple[int, int], float] = {}  # cancelled, client unknown
        self._coming = 0  # calls that were woken for a bundle and do not run yet
        self._notified = threads.condition_on(lock)
        self._paused = self._is_ending = False
        self._rate = Rate(a_second)
        self.most_for: Callable[[Client], int] = lambda client: ANY_NUMBER
        """How many tasks a client may be handed, whatever it has room for. To be set at first."""
        self.is_held = False
        """Whether people said that nothing more is to be handed out."""
        self.phase = Phase.RUNNING

    def capacity(self) -> int:
        """How many more tasks it takes; 0 until it is half empty, or while its lines are long."""
        free = self._capacity - self._bundles.load
        return free if free >= self._capacity // 2 and not self._bundles.is_heavy else 0

    def size(self) -> int:
        """How many tasks the queue holds."""
        return self._bundles.size

    def clients(self) -> list[Client]:
        """Those that are connected."""
        with self._lock:
            return list(self._barriers.clients())

    def parked(self) -> int:
        """How many calls wait for tasks."""
        with self._lock:
            return len(self._parked)

    def offer(self, bundles: list[Bundle], first: bool = False) -> None:
        """Add bundles after, or with `first` before, those that are here."""
        with self._lock:
            self._bundles.add(bundles, first, clock.monotonic())
            self._wake_hungry(len(bundles))

    def take(self, client: Client, session: int, want: int, wait_seconds: float) -> list[Task]:
        """Return tasks for a client; they are its claims from now on.

        `want` is how many it wishes to hold in all, -1 for as before. With nothing for it, it is
        parked until there is, until the phase is another than the one it knows, or until
        `wait_seconds` are over. A call of a session that is not the client's any more takes
        nothing.
        """
        deadline = clock.monotonic() + wait_seconds
        with self._lock:
            tasks: list[Task] = []
            was_parked = False
            while client.session == session:
                if want >= 0:
                    client.want, want = want, -1
                tasks = self._pop(client)
                remaining = deadline - clock.monotonic()
                # At the end no call is parked, even where the client knows it from another call.
                is_news = client.known_phase is not self.phase or self.phase is Phase.OVER
                is_news = is_news or self._has_cancelled(client) or client.new_slots > 0
                if tasks or is_news or remaining <= 0:
                    self._note_phase(client)
                    break
                if self._rate.is_limited and len(self._bundles):
                    until_free = self._rate.due_at() - clock.monotonic()
                    remaining = min(remaining, max(_LEAST_PAUSE, until_free))
                self._park(client, remaining, was_parked)
                was_parked = True
            # A call that was woken and did not take all there is wakes the next.
            if was_parked:
                self._wake_hungry(len(self._bundles) - self._coming)
            low = self.capacity() > 0
        if tasks:
            self._bus.publish(TasksLeased, client.id, tasks)
            if low:
                self._bus.publish(CapacityFreed)
        return tasks

    def cancel(self, pairs: Iterable[tuple[int, int]]) -> list[Task]:
        """These (task id, lease) are cancelled: remove and return those that no client has taken.

        The client that holds one of the others learns it from its next answer, at once where a call
        of it is parked, and again after it came back from a broken connection, while it holds it.
        """
        now = clock.monotonic()
        wanted = set(pairs)
        with self._lock:
            untaken = self._bundles.remove(wanted, now)
            self._sought = {p: at for p, at in self._sought.items() if now - at < _SEEK_SECONDS}
            self._sought.update((pair, now) for pair in wanted)
            for task in untaken:
                del self._sought[task.id, task.lease]
            for parked, client in self._parked.items():
                if self._has_cancelled(client):
                    parked.notify()
            low = self.capacity() > 0
        if untaken and low:
            self._bus.publish(CapacityFreed)
        return untaken

    def withdraw(self, task_ids: Collection[int]) -> list[Task]:
        """Remove and return those of these tasks that no client has taken."""
        with self._lock:
            untaken = [t for bundle in self._bundles for t in bundle if t.id in task_ids]
            if untaken:
                pairs = {(task.id, task.lease) for task in untaken}
                self._bundles.remove(pairs, clock.monotonic())
        return untaken

    def cancelled(self, client: Client, session: int) -> tuple[tuple[int, int], ...]:
        """The cancelled tasks to name in an answer to this session, each once."""
        if not (client.unannounced or self._sought):
            return ()
        with self._lock:
            if client.session != session or not self._has_cancelled(client):
                return ()
            pairs = client.unannounced
            announced = tuple(pair for pair in pairs if client.claims.get(pair[0]) == pair[1])
            pairs.clear()
            return announced

    def pause(self) -> None:
        """Hand out nothing until `go_on`."""
        with self._lock:
            self._paused = True

    def go_on(self) -> None:
        """Hand out what is here."""
        with self._lock:
            self._paused = False
            self.wake_all()

    def hand_out_nothing_more(self) -> None:
        """The run is about to end: what is here stays, whatever its phase is yet."""
        with self._lock:
            self._is_ending = True

    def hold(self, client: Client | None, *, held: bool) -> None:
        """Hand out nothing more, to one client or to all, or hand out again."""
        with self._lock:
            if client is None:
                self.is_held = held
            else:
                client.is_held = held
                if client.is_set_aside and not held:
                    client.is_set_aside, client.is_proven = False, True
                    client.failures_in_row = 0
            self.wake_all()

    def set_slots(self, client: Client, slots: int) -> None:
        """A client runs so many tasks at a time from now on; its next answer says so."""
        with self._lock:
            client.set_slots(slots)
            for parked, other in self._parked.items():
                if other is client:
                    parked.notify()

    def set_phase(self, phase: Phase) -> None:
        """The run is in this phase now: wake all calls that are parked."""
        with self._lock:
            self.phase = phase
            self.wake_all()
        self._bus.publish(PhaseChanged, phase)

    def wait_until_known(self, clients: list[Client], timeout: float) -> bool:
        """Whether all these clients know the phase, waiting at most `timeout` seconds for it."""
        with self._lock:
            return self._notified.wait_for(
                lambda: all(c.known_phase is self.phase or c.session == GONE for c in clients),
                timeout,
            )

    def wake_all(self) -> None:
        """Let all parked calls look again."""
        with self._lock:
            for parked in self._parked:
                parked.notify()
            self._notified.notify_all()

    def drain(self) -> list[Task]:
        """Remove and return all that is here."""
        with self._lock:
            return self._bundles.clear()

    # Barriers.

    def note_failed(self, client: Client, task_ids: Iterable[int]) -> None:
        """Tasks that are not here failed on a client: they go to another while there is one."""
        with self._lock:
            self._barriers.note_failed(client.id, task_ids)

    def note_end(self) -> None:
        """A client has an end that is known: tasks that take too long go to others."""
        with self._lock:
            self._barriers.note_end()
            self._bundles.sort(clock.monotonic())

    def explain(self, tasks: Iterable[Task]) -> dict[int, list[str]]:
        """Why each of these tasks, which no client holds, is not running: a reason a line."""
        now = clock.monotonic()
        with self._lock:
            clients = list(self._barriers.clients())
            found: dict[int, list[str]] = {}
            for task in tasks:
                if until := self._barriers.delayed_until(task, now):
                    found[task.id] = [f"its next attempt is in {until - now:.0f} s"]
                    continue
                each = ((c, why_not(task, c, self._barriers, now)) for c in clients)
                found[task.id] = [
                    f"client {client.id} on {client.host} {', '.join(reasons) or 'can take it'}"
                    for client, reasons in each
                ] or ["no client is connected"]
            return found

    def unfit(self) -> set[Needs]:
        """What tasks here need and no connected client has; nothing while none is connected."""
        with self._lock:
            offers = [client.usage.offer for client in self._barriers.clients()]
            if not offers:
                return set()
            return {n for n in self._bundles.needs() if not any(o.can(n) for o in offers)}

    def withdraw_with(self, needs: Needs) -> list[Task]:
        """Remove and return the tasks that need this and that no client has taken."""
        with self._lock:
            tasks = self._bundles.tasks_with(needs)
            self._bundles.remove({(t.id, t.lease) for t in tasks}, clock.monotonic())
        return tasks

    def delay(self, delays: Mapping[int, float]) -> None:
        """Tasks that are not here go to nobody for so many seconds."""
        if delays:
            now = clock.monotonic()
            with self._lock:
                self._barriers.delay({task_id: now + s for task_id, s in delays.items()})

    def until_due(self) -> float | None:
        """Seconds until the first task that is delayed may go; None if there is none."""
        with self._lock:
            due = self._bundles.due_at()
        return None if due is None else max(0.0, due - clock.monotonic())

    def release_due(self) -> None:
        """Let those go whose delay is over. One thread calls it, whenever one may be due."""
        with self._lock:
            if number := self._bundles.release_due(clock.monotonic()):
                self._wake_hungry(number)

    def forget(self, task_ids: Iterable[int]) -> None:
        """These are final: what is known of their failures is of no use any more."""
        if self._barriers.any():
            with self._lock:
                self._barriers.forget(task_ids)

    def note_refused(self, client: Client, tasks: Iterable[Task], reason: str) -> None:
        """A client cannot enter the directories of these tasks, which are not here."""
        now = clock.monotonic()
        with self._lock:
            directories = {self._barriers.directory_of(task) for task in tasks}
            for directory in directories:
                self._barriers.note_refused(client.id, directory, now)
            self._bundles.sort(now)
        log.info(
            "client %s on %s cannot enter %s (%s); others are given its tasks",
            client.id,
            client.host,
            ", ".join(map(shown, sorted(directories))),
            reason,
        )
        self.say_what_is_closed()

    def say_what_is_closed(self, _: object = None) -> None:
        """Say once of each directory that no connected client can enter it."""
        with self._lock:
            closed = set(self._barriers.closed_to_all(clock.monotonic())) - self._said
            self._said |= closed
        for directory in sorted(closed):
            log.warning(
                "tasks are waiting for a client that can enter %s: no connected client can; "
                "`--cwd client` runs tasks in the directory of their client",
                shown(directory),
            )

    def _has_cancelled(self, client: Client) -> bool:
        """Whether a client has claims that are cancelled, and does not know it."""
        if self._sought:
            found = {pair for pair in self._sought if client.claims.get(pair[0]) == pair[1]}
            for pair in found:
                del self._sought[pair]
            client.unannounced |= found - client.cancelled
            client.cancelled |= found
        return bool(client.unannounced)

    def _note_phase(self, client: Client) -> None:
        if client.known_phase is not self.phase:
            client.known_phase = self.phase
            self._notified.notify_all()

    def _hands_out(self) -> bool:
        """Whether there is anything for anybody at present."""
        return self.phase is Phase.RUNNING and not (self._paused or self.is_held or self._is_ending)

    def _wake_hungry(self, most: int) -> None:
        """Wake those of at most `most` clients that have been parked longest for want of tasks."""
        if most <= 0 or not self._parked or not self._hands_out():
            return
        now = clock.monotonic()
        has_for, most_for = self._bundles.has_for, self.most_for
        hungry = (
            parked
            for parked, client in self._parked.items()
            if has_for(client, now) and most_for(client) > 0
        )
        for parked in list(itertools.islice(hungry, most)):
            del self._parked[parked]  # it is on its way: the next bundle is for another
            self._coming += 1
            parked.notify()

    def _park(self, client: Client, seconds: float, was_parked: bool) -> None:
        # Who was woken and takes nothing wakes the next before it sleeps again.
        if was_parked:
            self._wake_hungry(len(self._bundles) - self._coming)
        parked = threads.condition_on(self._lock)
        self._parked[parked] = client
        try:
            parked.wait(seconds)
        finally:
            if self._parked.pop(parked, None) is None:
                self._coming -= 1  # it was woken for a bundle, and is here

    def _pop(self, client: Client) -> list[Task]:
        if not self._hands_out() or client.is_held:
            return []
        now = clock.monotonic()
        most = self._rate.number(now) if self._rate.is_limited else ANY_NUMBER
        most = min(most, self.most_for(client))
        tasks = self._bundles.take(client, now, most) if most else []
        if self._rate.is_limited:
            self._rate.take(len(tasks))
        client.claim(tasks, self._needs)
        return tasks
