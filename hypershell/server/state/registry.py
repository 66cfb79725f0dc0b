"""The clients: who lives, what each holds, whose tasks come back."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hypershell.access.keys import client_secret, is_client_secret, new_client_key
from hypershell.core.ending import CountsAs, Ending
from hypershell.core.lease import call_seconds
from hypershell.core.outcome import Outcome
from hypershell.runtime import chance, clock, threads
from hypershell.server.events import ClientJoined, ClientLeft, EventBus
from hypershell.server.state.matching import Capacity
from hypershell.wire.worker_messages import FIRST_SESSION, Hello, Phase, Welcome

Pairs = list[tuple[int, int]]
"""Tasks under a lease: (task id, lease) each."""

GONE = 0
"""The session of a client that is not registered."""

_CLIENT_ID = re.compile("[0-9a-f]{8}")


@dataclass(slots=True, eq=False)
class Client:
    """One client. `claims` are the tasks that it holds: id and lease.

    `cancelled` are those of its claims that it must stop, `unannounced` those of these that no
    answer of its present session has named. `calls` are under way. While outcomes that it gave wait
    to be recorded, `giving` is not set.
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
    cancelled: set[tuple[int, int]] = field(default_factory=set)
    unannounced: set[tuple[int, int]] = field(default_factory=set)
    done: int = 0
    failed: int = 0
    load: float | None = None
    memory_percent: float | None = None

    @property
    def capacity(self) -> Capacity:
        """How many tasks it wants besides its claims."""
        return Capacity(self.want - len(self.claims))


class ClientRegistry:
    """The clients that have joined and not left. Publishes ClientJoined and ClientLeft.

    The lock is shared with the scheduled queue; nothing is published or asked while it is held.
    `adopt` is asked about an unknown client that says it holds tasks: it returns those of them that
    are its claims from now on, or None if the client joins as a new one. By `client_key` clients of
    servers before this are known by their secrets.
    """

    def __init__(
        self,
        lock: threads.RLock,
        lease_seconds: float,
        grace_seconds: float,
        bus: EventBus,
        adopt: Callable[[str, Pairs], Pairs | None] = lambda client_id, held: None,
        client_key: bytes | None = None,
    ) -> None:
        self._lock = lock
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self.call_seconds = call_seconds(lease_seconds, grace_seconds)
        self._bus = bus
        self._adopt = adopt
        self._client_key = client_key or new_client_key()
        self._clients: dict[str, Client] = {}
        self._changed = threads.condition_on(lock)
        self._paused = False

    def join(self, hello: Hello) -> Welcome:
        """Take a client in, or back: one whose connection broke, or whose server was restarted.

        What it holds and no longer may is in `drop`; `missing` has what it should hold as well.
        """
        claims = self._adopted(hello)
        with self._lock:
            client = self._clients.get(hello.client_id)
            if is_new := client is None:
                client = self._enter(hello, claims)
            else:
                client.session += 1
                client.heard = clock.monotonic()
                client.known_phase = Phase.RUNNING
                client.unannounced = client.cancelled.copy()
            drop = tuple(h[:2] for h in hello.held if client.claims.get(h[0]) != h[1])
            secret = client_secret(self._client_key, client.id)
            lease, grace = self._lease_seconds, self._grace_seconds
            welcome = Welcome(client.id, client.session, lease, grace, drop, secret)
        if is_new:
            try:
                self._bus.publish(ClientJoined, client.id, client.host, client.pid, client.slots)
            finally:
                self.answered(client)
        return welcome

    def is_secret_of(self, client_id: str, secret: str) -> bool:
        """Whether a client of this run, or of one before it, got this secret with that id."""
        return is_client_secret(self._client_key, client_id, secret)

    def _adopted(self, hello: Hello) -> Pairs | None:
        """The claims of an unknown client that comes back; None if it joins as a new one."""
        with self._lock:
            if hello.client_id in self._clients:
                return None
        if not _CLIENT_ID.fullmatch(hello.client_id):
            return None
        return self._adopt(hello.client_id, [each[:2] for each in hello.held])

    def _enter(self, hello: Hello, claims: Pairs | None) -> Client:
        client_id = hello.client_id if claims is not None else chance.token_hex(4)
        client = Client(client_id, hello.host, hello.pid, hello.slots, clock.monotonic())
        client.claims.update(claims or ())
        client.calls = 1  # this one
        self._clients[client.id] = client
        self._changed.notify_all()
        return client

    def missing(self, hello: Hello) -> tuple[Client, list[Outcome]]:
        """Outcomes for claims that a client that came back does not hold: they were never begun."""
        with self._lock:
            client = self._clients[hello.client_id]
            held = {each[:2] for each in hello.held}
            return client, [
                Outcome(task_id, lease, Ending.GIVEN_BACK)
                for task_id, lease in client.claims.items()
                if (task_id, lease) not in held
            ]

    def hear(self, client_id: str, session: int) -> Client | None:
        """The client that calls; None if it was given up, or calls from an older session.

        The caller says when the call is `answered`.
        """
        with self._lock:
            client = self._clients.get(client_id)
            if client is None or client.session != session:
                return None
            client.heard = clock.monotonic()
            client.calls += 1
            return client

    def answered(self, client: Client) -> None:
        """A call that was heard is over."""
        with self._lock:
            client.calls -= 1
            now = clock.monotonic()
            if now - client.heard > self._lease_seconds / 2:
                client.heard = now  # it waited for us: no silence of its own

    def begin_giving(
        self, client: Client, outcomes: list[Outcome], recorded: threads.Event
    ) -> tuple[list[Outcome], threads.Event | None]:
        """Those of the outcomes that belong to claims of this client.

        If there are any, `recorded` is what the client waits for from now on. While an earlier
        batch of it waits, that one's event is returned instead, and no outcome: two calls of a
        client at the same time must not give the same outcomes twice.
        """
        with self._lock:
            if client.giving is not None and not client.giving.is_set():
                return [], client.giving
            claims = client.claims
            own = [o for o in outcomes if claims.get(o.task_id) == o.lease]
            client.giving = recorded if own else None
            return own, None

    def release(self, client: Client, outcomes: list[Outcome]) -> None:
        """The client does not hold these any more."""
        with self._lock:
            for outcome in outcomes:
                if client.claims.get(outcome.task_id) == outcome.lease:
                    del client.claims[outcome.task_id]
                    if client.cancelled:
                        client.cancelled.discard((outcome.task_id, outcome.lease))
                        client.unannounced.discard((outcome.task_id, outcome.lease))
                    if outcome.ending.counts_as is CountsAs.FAILURE:  # it ended by itself
                        client.done += 1
                        client.failed += not outcome.ok

    def leave(self, client_id: str, ending: Ending) -> tuple[Client, list[Outcome]] | None:
        """Take a client out and return it, with this outcome for all it held; None if unknown.

        Its calls under way belong to no session any more, and take nothing.
        """
        with self._lock:
            client = self._clients.pop(client_id, None)
            held: list[Outcome] = []
            if client is not None:
                client.session = GONE
                held = [Outcome(task, lease, ending) for task, lease in client.claims.items()]
                client.claims.clear()
                self._changed.notify_all()
        if _CLIENT_ID.fullmatch(client_id):
            self._bus.publish(ClientLeft, client_id)
        return None if client is None else (client, held)

    def wait_for_silent(self, timeout: float) -> list[Client]:
        """Clients not heard for a lease, waiting at most `timeout` seconds until there is one.

        No client is silent while a call of it is under way.
        """
        with self._lock:
            now = clock.monotonic()
            due = min((self._due(c, now) for c in self._clients.values()), default=now + timeout)
            pause = min(timeout, due - now)
            if pause > 0:
                self._changed.wait(pause)
            self._changed.wait_for(lambda: not self._paused, timeout)
            if self._paused:
                return []
            limit = clock.monotonic() - self._lease_seconds
            return [c for c in self._clients.values() if c.heard <= limit and not c.calls]

    def pause(self) -> None:
        """No client is silent until `go_on`."""
        with self._lock:
            self._paused = True

    def go_on(self, own_clients: set[str]) -> None:
        """These were heard just now; the lease of others went on meanwhile."""
        with self._lock:
            self._paused = False
            now = clock.monotonic()
            for client_id in own_clients & self._clients.keys():
                self._clients[client_id].heard = now
            self._changed.notify_all()

    def _due(self, client: Client, now: float) -> float:
        """When a client may be silent, if nothing more is heard of it."""
        due = client.heard + self._lease_seconds
        return max(due, now + self._lease_seconds / 10) if client.calls else due

    def wake(self) -> None:
        """End a wait for silent clients."""
        with self._lock:
            self._changed.notify_all()

    def claimed(self) -> int:
        """How many tasks all clients hold."""
        with self._lock:
            return sum(len(client.claims) for client in self._clients.values())

    def host_of(self, client_id: str) -> str | None:
        """Where a client runs; None if it is not registered."""
        with self._lock:
            client = self._clients.get(client_id)
        return None if client is None else client.host

    def idle_clients(self) -> list[str]:
        """The ids of the clients that hold nothing."""
        with self._lock:
            return [client.id for client in self._clients.values() if not client.claims]

    def clients(self) -> list[Client]:
        """The clients at this moment."""
        with self._lock:
            return list(self._clients.values())
