"""The scheduled queue: bundles under lease that no client has taken yet.

The scheduler offers, clients take. A client that finds nothing may park: the one that waited
longest gets what comes next, and no other is woken for it.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from hypershell.core.task import Task
from hypershell.server.state.registry import GONE, Client
from hypershell.wire.worker_messages import Phase

CAPACITY = 1000
"""Tasks under lease ahead of demand; or a few bundles, where they are large."""

MAX_BYTES = 16 * 2**20
"""Of lines that are here, or in one answer, but for the last of them: far below a frame's limit."""

_SEEK_SECONDS = 3600.0
"""How long a cancelled task may be on its way to the client that is to be told of it."""


class ScheduledQueue:
    """Bundles in the order in which they go out. `ran_low` is called when it is half empty."""

    def __init__(self, lock: threading.RLock, bundlesize: int, ran_low: Callable[[], None]) -> None:
        self._lock = lock
        self._ran_low = ran_low
        self._capacity = max(CAPACITY, 2 * bundlesize)
        self._bundles: deque[list[Task]] = deque()
        self._size = 0
        self._bytes = 0
        self._parked: OrderedDict[threading.Condition, Client] = OrderedDict()
        self._sought: dict[tuple[int, int], float] = {}  # cancelled, and held we do not know where
        self._coming = 0  # calls that were woken for a bundle and do not run yet
        self._told = threading.Condition(lock)
        self.phase = Phase.RUNNING

    def room(self) -> int:
        """How many tasks more it takes; 0 until it is half empty, or while its lines are long."""
        free = self._capacity - self._size
        return free if free >= self._capacity // 2 and self._bytes < MAX_BYTES else 0

    def size(self) -> int:
        """How many tasks are here."""
        return self._size

    def offer(self, bundles: list[list[Task]], first: bool = False) -> None:
        """Add bundles behind, or before, those that are here."""
        with self._lock:
            if first:
                self._bundles.extendleft(reversed(bundles))
            else:
                self._bundles.extend(bundles)
            self._size += sum(map(len, bundles))
            self._bytes += sum(len(task.line) for bundle in bundles for task in bundle)
            self._wake_hungry(len(bundles))

    def take(self, client: Client, session: int, want: int, wait_seconds: float) -> list[Task]:
        """Return tasks for a client; they are its claims from now on.

        `want` is how many it wishes to hold in all, -1 for as before. With nothing for it, it is
        parked until there is, until the phase of the run is not what it was told, or until the
        time is over. A call of a session that is not the client's any more takes nothing.
        """
        deadline = time.monotonic() + wait_seconds
        with self._lock:
            tasks: list[Task] = []
            while client.session == session:
                if want >= 0:
                    client.want, want = want, -1
                tasks = self._pop(client)
                remaining = deadline - time.monotonic()
                # At the end no call is parked, also where another call has told the client of it.
                is_news = client.told is not self.phase or self.phase is Phase.OVER
                is_news = is_news or self._has_cancelled(client)
                if tasks or is_news or remaining <= 0:
                    self._note_told(client)
                    break
                self._park(client, remaining)
            # Whoever was woken and did not take all there is wakes the next.
            self._wake_hungry(len(self._bundles) - self._coming)
            low = self.room() > 0
        if tasks and low:
            self._ran_low()
        return tasks

    def cancel(self, pairs: Iterable[tuple[int, int]]) -> list[Task]:
        """These (task id, lease) are cancelled: remove and return those that no client has taken.

        Whoever holds one of the others is told with its next answer, at once where a call of it is
        parked, and again after it came back from a broken connection, while it holds it.
        """
        now = time.monotonic()
        wanted = set(pairs)
        with self._lock:
            untaken = [t for b in self._bundles for t in b if (t.id, t.lease) in wanted]
            if untaken:
                self._remove(wanted)
            self._sought = {p: at for p, at in self._sought.items() if now - at < _SEEK_SECONDS}
            self._sought.update((pair, now) for pair in wanted)
            for task in untaken:
                del self._sought[task.id, task.lease]
            for parked, client in self._parked.items():
                if self._has_cancelled(client):
                    parked.notify()
            low = self.room() > 0
        if untaken and low:
            self._ran_low()
        return untaken

    def cancelled(self, client: Client, session: int) -> tuple[tuple[int, int], ...]:
        """What an answer to this session is to name as cancelled: each once."""
        if not (client.untold or self._sought):
            return ()
        with self._lock:
            if client.session != session or not self._has_cancelled(client):
                return ()
            told = tuple(pair for pair in client.untold if client.claims.get(pair[0]) == pair[1])
            client.untold.clear()
            return told

    def tell(self, phase: Phase) -> None:
        """The run is in this phase now: wake all who are parked."""
        with self._lock:
            self.phase = phase
            self.wake_all()

    def wait_until_told(self, clients: list[Client], timeout: float) -> bool:
        """Wait until all these clients know the phase, so many seconds at most; whether they do."""
        with self._lock:
            return self._told.wait_for(
                lambda: all(c.told is self.phase or c.session == GONE for c in clients), timeout
            )

    def wake_all(self) -> None:
        """Let all who are parked look again."""
        with self._lock:
            for parked in self._parked:
                parked.notify()
            self._told.notify_all()

    def drain(self) -> list[Task]:
        """Remove and return all that is here."""
        with self._lock:
            tasks = [task for bundle in self._bundles for task in bundle]
            self._bundles.clear()
            self._size = self._bytes = 0
        return tasks

    def _remove(self, pairs: set[tuple[int, int]]) -> None:
        run_session = (
            [t for t in bundle if (t.id, t.lease) not in pairs] for bundle in self._bundles
        )
        self._bundles = deque(filter(None, run_session))
        self._size = sum(map(len, self._bundles))
        self._bytes = sum(len(task.line) for bundle in self._bundles for task in bundle)

    def _has_cancelled(self, client: Client) -> bool:
        """Whether a client is to be told of claims that are cancelled."""
        if self._sought:
            found = {pair for pair in self._sought if client.claims.get(pair[0]) == pair[1]}
            for pair in found:
                del self._sought[pair]
            client.untold |= found - client.cancelled
            client.cancelled |= found
        return bool(client.untold)

    def _note_told(self, client: Client) -> None:
        if client.told is not self.phase:
            client.told = self.phase
            self._told.notify_all()

    def _wake_hungry(self, most: int) -> None:
        """Wake those who have been parked longest for want of tasks, so many at most."""
        if most <= 0 or not self._parked:
            return
        hungry = [parked for parked, client in self._parked.items() if client.room > 0]
        for parked in hungry[:most]:
            del self._parked[parked]  # it is on its way: the next bundle is for another
            self._coming += 1
            parked.notify()

    def _park(self, client: Client, seconds: float) -> None:
        # Who was woken and takes nothing wakes the next before it sleeps again.
        self._wake_hungry(len(self._bundles) - self._coming)
        parked = threading.Condition(self._lock)
        self._parked[parked] = client
        try:
            parked.wait(seconds)
        finally:
            if self._parked.pop(parked, None) is None:
                self._coming -= 1  # it was woken for a bundle, and is here

    def _pop(self, client: Client) -> list[Task]:
        tasks: list[Task] = []
        taken_bytes = 0
        if self.phase is not Phase.RUNNING:
            return tasks
        while self._bundles and client.room > 0 and taken_bytes < MAX_BYTES:
            bundle = self._bundles.popleft()
            for position, task in enumerate(bundle):
                if taken_bytes >= MAX_BYTES:  # the rest of a bundle that is too large to send
                    self._bundles.appendleft(bundle[position:])
                    break
                tasks.append(task)
                taken_bytes += len(task.line)
                client.claims[task.id] = task.lease
        self._size -= len(tasks)
        self._bytes -= taken_bytes
        return tasks
