"""The clients: who lives, what each holds and has begun of it, whose tasks come back.

What a client has begun is known from what it tells: with a call, when it comes back, and in the end
by itself or by its supervisor. A claim that is not known to have begun goes to nobody else until
one of these says that it has not, or until the lease is over.
"""

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from hypershell.access.keys import client_secret, is_client_secret, new_client_key
from hypershell.core.begun import Begun
from hypershell.core.ending import CountsAs, Ending
from hypershell.core.lease import call_seconds
from hypershell.core.outcome import Outcome
from hypershell.core.resources import NO_NEEDS, TaskNeeds
from hypershell.core.task import Task
from hypershell.runtime import chance, clock, threads
from hypershell.server.events import ClientJoined, ClientLeft, EventBus, TasksBegun
from hypershell.server.state.client import GONE, Client, Pairs
from hypershell.wire.worker_messages import Hello, Phase, Welcome


class Departure(NamedTuple):
    """How a client leaves, in its own words or its supervisor's.

    `begun` are those (task id, lease) that had begun and have no accepted outcome, `interrupted`
    those that ended because the client was told to end. It never began what else it holds.
    """

    dead: bool
    begun: Collection[tuple[int, int]] = ()
    interrupted: Collection[tuple[int, int]] = ()

    def ending_of(self, known: Collection[int]) -> Callable[[tuple[int, int]], Ending]:
        """What becomes of each of its claims; `known` are the ids of all that had begun."""
        interrupted = frozenset(self.interrupted)
        began = Ending.LOST if self.dead else Ending.INTERRUPTED

        def ending(pair: tuple[int, int]) -> Ending:
            if pair in interrupted:
                return Ending.INTERRUPTED
            return began if pair[0] in known else Ending.GIVEN_BACK

        return ending


_CLIENT_ID = re.compile("[0-9a-f]{8}")


class ClientRegistry:
    """The clients that have joined and not left. Publishes ClientJoined, ClientLeft, TasksBegun.

    The lock is shared with the scheduled queue; nothing is published or asked while it is held.
    `adopt` is asked about an unknown client that says it holds tasks: it returns those of them that
    are its claims from now on, or None if the client joins as a new one. `clients` is where they
    are kept, by their ids, for others to read under the lock. `needs` tells what tasks need. By
    `client_key` clients of servers
    before this are known by their secrets.
    """

    def __init__(
        self,
        lock: threads.RLock,
        lease_seconds: float,
        grace_seconds: float,
        bus: EventBus,
        adopt: Callable[[str, Pairs], list[Task] | None] = lambda client_id, held: None,
        clients: dict[str, Client] | None = None,
        client_key: bytes | None = None,
        needs: TaskNeeds = NO_NEEDS,
    ) -> None:
        self._lock = lock
        self._needs = needs
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self.call_seconds = call_seconds(lease_seconds, grace_seconds)
        self._bus = bus
        self._adopt = adopt
        self._client_key = client_key or new_client_key()
        self._clients: dict[str, Client] = {} if clients is None else clients
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
                client.new_slots = client.slots if client.slots != hello.slots else 0
            client.note_begun(each[:2] for each in hello.held if each[2])
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

    def _adopted(self, hello: Hello) -> list[Task] | None:
        """The claims of an unknown client that comes back; None if it joins as a new one."""
        with self._lock:
            if hello.client_id in self._clients:
                return None
        if not _CLIENT_ID.fullmatch(hello.client_id):
            return None
        return self._adopt(hello.client_id, [each[:2] for each in hello.held])

    def _enter(self, hello: Hello, claims: list[Task] | None) -> Client:
        client_id = hello.client_id if claims is not None else chance.token_hex(4)
        now = clock.monotonic()
        client = Client(client_id, hello.host, hello.pid, hello.slots, now)
        client.offers(hello.offer, now)
        client.is_proven = claims is not None
        client.claim(claims or (), self._needs)
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

    def note_begun(self, client: Client, begun: list[Begun]) -> None:
        """A client has begun these, as far as they are its claims. Publishes TasksBegun."""
        with self._lock:
            mine = [b for b in begun if client.claims.get(b.task_id) == b.lease]
            client.begun.update(each.task_id for each in mine)
        if mine:
            self._bus.publish(TasksBegun, client.id, mine)

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
                released = client.release(outcome.task_id, outcome.lease)
                if released and outcome.ending.counts_as is CountsAs.FAILURE:
                    client.done += 1  # it ended by itself
                    client.failed += not outcome.ok

    def leave(self, client_id: str, departure: Departure) -> tuple[Client, list[Outcome]] | None:
        """Take a client out and return it, with an outcome for all that it held; None if unknown.

        One that only a server before this knew may leave, too: it is returned with what it had
        begun. Publishes TasksBegun, so that a crash does not forget that, and ClientLeft.
        """
        with self._lock:
            client = self._take_out(client_id)
        if client is None:
            client = self._adopt_for_leave(client_id, [*departure.begun, *departure.interrupted])
        held: list[Outcome] = []
        if client is not None:
            with self._lock:
                new = client.note_begun([*departure.begun, *departure.interrupted])
                held = client.give_all(departure.ending_of(client.begun))
            if new:
                told = [Begun(*pair, 0.0, 0, 0) for pair in new]
                self._bus.publish(TasksBegun, client_id, told)
        if _CLIENT_ID.fullmatch(client_id):
            self._bus.publish(ClientLeft, client_id)
        return None if client is None else (client, held)

    def give_up(self, client_id: str) -> tuple[Client, list[Outcome]] | None:
        """Take out a client whose lease is over, with an outcome for all it held; None if unknown.

        The caller publishes ClientLeft, once the outcomes are recorded.
        """
        with self._lock:
            client = self._take_out(client_id)
            if client is None:
                return None
            begun = client.begun
            return client, client.give_all(
                lambda pair: Ending.LOST if pair[0] in begun else Ending.UNREPORTED
            )

    def give_up_if_silent(self, client: Client) -> tuple[Client, list[Outcome]] | None:
        """The same, unless it has called since it was found silent: what it gives then counts."""
        with self._lock:
            is_silent = self._is_silent(client, clock.monotonic())
            return self.give_up(client.id) if is_silent else None

    def _take_out(self, client_id: str) -> Client | None:
        """Its calls under way belong to no session any more, and take nothing."""
        client = self._clients.pop(client_id, None)
        if client is not None:
            client.session = GONE
            self._changed.notify_all()
        return client

    def _adopt_for_leave(self, client_id: str, begun: Pairs) -> Client | None:
        """A client that a server before this knew, with those of these that it still held."""
        if not begun or not _CLIENT_ID.fullmatch(client_id):
            return None
        client = Client(client_id, "", 0, 1, 0.0, GONE)
        client.claim(self._adopt(client_id, begun) or (), self._needs)
        return client if client.claims else None

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
            now = clock.monotonic()
            return [client for client in self._clients.values() if self._is_silent(client, now)]

    def _is_silent(self, client: Client, now: float) -> bool:
        is_over = client.heard + self._lease_seconds <= now
        return is_over and not client.calls and not self._paused

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

    def client(self, client_id: str) -> Client | None:
        """A client; None if it is not registered."""
        with self._lock:
            return self._clients.get(client_id)

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
