"""The clients: who lives, what each holds, whose tasks come back."""

import secrets
import threading
import time
from dataclasses import dataclass, field

from hypershell.core.task import Ending, Outcome
from hypershell.wire.messages import Hello, Phase, Welcome

GONE = 0
"""The session of a client that is not on the roster; that of others begins with 1."""


@dataclass(slots=True, eq=False)
class Client:
    """One client. `claims` are the tasks that it holds: id and lease."""

    id: str
    host: str
    pid: int
    slots: int
    heard: float
    session: int = 1
    want: int = 0
    told: Phase = Phase.RUNNING
    claims: dict[int, int] = field(default_factory=dict)
    done: int = 0
    failed: int = 0
    load: float | None = None
    memory_percent: float | None = None

    @property
    def room(self) -> int:
        """How many claims more it wishes to hold."""
        return self.want - len(self.claims)


class Roster:
    """The clients that have joined and not left. Shares its lock with the scheduled queue."""

    def __init__(self, lock: threading.RLock, lease_seconds: float, grace_seconds: float) -> None:
        self._lock = lock
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self._clients: dict[str, Client] = {}
        self._changed = threading.Condition(lock)

    def join(self, hello: Hello) -> Welcome:
        """Take a client in, or back: one that lived through a broken connection.

        What it holds and no longer may is in `drop`; `missing` has what it should hold as well.
        """
        with self._lock:
            client = self._clients.get(hello.client_id)
            if client is None:
                client = Client(
                    secrets.token_hex(4), hello.host, hello.pid, hello.slots, time.monotonic()
                )
                self._clients[client.id] = client
                self._changed.notify_all()
            else:
                client.session += 1
                client.heard = time.monotonic()
                client.told = Phase.RUNNING
            drop = tuple(pair for pair in hello.held if client.claims.get(pair[0]) != pair[1])
            return Welcome(
                client.id, client.session, self._lease_seconds, self._grace_seconds, drop
            )

    def missing(self, hello: Hello) -> tuple[Client, list[Outcome]]:
        """Outcomes for claims that a client that came back does not hold: they were never begun."""
        with self._lock:
            client = self._clients[hello.client_id]
            held = set(hello.held)
            return client, [
                Outcome(task_id, lease, Ending.GIVEN_BACK)
                for task_id, lease in client.claims.items()
                if (task_id, lease) not in held
            ]

    def hear(self, client_id: str, session: int) -> Client | None:
        """The client that calls; None if it was given up, or calls from an older session."""
        with self._lock:
            client = self._clients.get(client_id)
            if client is None or client.session != session:
                return None
            client.heard = time.monotonic()
            return client

    def own(self, client: Client, outcomes: list[Outcome]) -> list[Outcome]:
        """Those of the outcomes that belong to claims of this client."""
        with self._lock:
            claims = client.claims
            return [o for o in outcomes if claims.get(o.task_id) == o.lease]

    def settle(self, client: Client, outcomes: list[Outcome]) -> None:
        """The client holds these no longer."""
        with self._lock:
            for outcome in outcomes:
                if client.claims.get(outcome.task_id) == outcome.lease:
                    del client.claims[outcome.task_id]
                    if outcome.ending < Ending.INTERRUPTED:
                        client.done += 1
                        client.failed += not outcome.ok

    def leave(self, client_id: str, ending: Ending) -> tuple[Client, list[Outcome]] | None:
        """Take a client out and return it, with this outcome for all it held; None if unknown.

        Its calls under way belong to no session any more, and take nothing.
        """
        with self._lock:
            client = self._clients.pop(client_id, None)
            if client is None:
                return None
            client.session = GONE
            held = [Outcome(task, lease, ending) for task, lease in client.claims.items()]
            client.claims.clear()
            self._changed.notify_all()
            return client, held

    def wait_for_silent(self, timeout: float) -> list[Client]:
        """Clients not heard for a lease, waiting until there is one, or for so many seconds."""
        with self._lock:
            now = time.monotonic()
            oldest = min((client.heard for client in self._clients.values()), default=now + timeout)
            pause = min(timeout, oldest + self._lease_seconds - now)
            if pause > 0:
                self._changed.wait(pause)
            limit = time.monotonic() - self._lease_seconds
            return [client for client in self._clients.values() if client.heard <= limit]

    def wake(self) -> None:
        """End a wait for silent clients."""
        with self._lock:
            self._changed.notify_all()

    def claimed(self) -> int:
        """How many tasks all clients hold."""
        with self._lock:
            return sum(len(client.claims) for client in self._clients.values())

    def clients(self) -> list[Client]:
        """The clients at this moment."""
        with self._lock:
            return list(self._clients.values())
