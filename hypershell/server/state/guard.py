"""Keeps a bad machine from failing the tasks of others: a client is on trial until a task of it
succeeds.

A client on trial, while another is connected, is handed at most TRIAL_TASKS tasks of which nothing
is known: neither how they ended nor that they still run. Its failures are recorded, but where no
retry is left the task stays *unconfirmed*: it waits, in memory and in the database, and nobody is
told. Then the client is judged. As soon as it has a success its tasks have FAILED. It is set aside
when TRIAL_TASKS of its tasks failed in a row, and what ended elsewhere meanwhile went so well that
such a row can hardly be chance: these wait for another client, as though it had never had them, and
it gets nothing more. They have FAILED, too, when it is the only client left, or when it was not set
aside within TRIAL_SECONDS: then it is the tasks, as far as one can see. Where nothing else is left
to do, MIN_FAILURES are enough to set it aside, if nobody else failed anything. A client that came
back to a server that was started again is not on trial.

A client that had a success is on trial again after TRIAL_TASKS failures in a row that each came
within a second.

Called by the receiver and the registry's loop, one after another under a lock of its own, which is
taken before those of the store and the registry; `most_for` is called with the registry's lock.
"""

import logging
from collections.abc import Iterable, Mapping

from hypershell.core.ending import CountsAs
from hypershell.core.outcome import Outcome
from hypershell.runtime import clock, threads
from hypershell.server.events import ClientSetAside, EventBus, OutcomesRecorded, TasksChanged
from hypershell.server.state.client import Client
from hypershell.server.state.scheduled_queue import ANY_NUMBER, ScheduledQueue
from hypershell.store.tasks.task_store import TaskStore

log = logging.getLogger(__name__)

TRIAL_TASKS = 10
TRIAL_SECONDS = 10.0
MIN_FAILURES = 3
_FAST_SECONDS = 1.0
_CHANCE = 1e-6


class Guard:
    """Judges clients. Publishes ClientSetAside, and OutcomesRecorded for tasks that it confirms."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        store: TaskStore,
        scheduled: ScheduledQueue,
        bus: EventBus,
        *,
        is_on: bool = True,
    ) -> None:
        self._clients = clients
        self._store = store
        self._scheduled = scheduled
        self._bus = bus
        self._is_on = is_on
        self._lock = threads.lock("guard")
        self._succeeded = self._failed = 0
        self._failing: set[str] = set()  # clients that failed anything
        self.has_suspects = False
        """Whether a client may have to be judged."""

    def most_for(self, client: Client) -> int:
        """How many tasks a client may be handed now. Takes no lock: the registry's is held."""
        if client.is_proven or not self._is_on or not self._has_others(client):
            return ANY_NUMBER
        unknown = len(client.claims) - len(client.begun) + client.unconfirmed
        return max(0, TRIAL_TASKS - unknown)

    def note(self, given: Iterable[tuple[Client, list[Outcome], list[Outcome]]]) -> set[str]:
        """Clients gave outcomes, of which some are bad, and none is recorded yet: those whose
        failures are not final.
        """
        trial: set[str] = set()
        if not self._is_on:
            return trial
        now = clock.monotonic()
        with self._lock:
            for client, outcomes, bad in given:
                if len(outcomes) > len(bad):
                    client.is_proven, client.failures_in_row = True, 0
                    self._succeeded += len(outcomes) - len(bad)
                if bad:
                    self._note_bad(client, outcomes, now)
                if self._clients.get(client.id) is not client or client.is_proven:
                    continue
                if client.is_set_aside or self._has_others(client):
                    trial.add(client.id)
        return trial

    def _note_bad(self, client: Client, outcomes: list[Outcome], now: float) -> None:
        """Count the failures since its last success, which is among these or was before."""
        for outcome in outcomes:
            if outcome.ok:
                client.failures_in_row = 0
            elif outcome.ending.counts_as is CountsAs.FAILURE:
                self._note_failure(client, outcome, now)

    def _note_failure(self, client: Client, outcome: Outcome, now: float) -> None:
        if not client.failures_in_row:
            client.failing_since = now
            client.stood_at = self._succeeded, self._failed
        self._failed += 1
        is_fast = outcome.seconds < _FAST_SECONDS
        client.failures_in_row = client.failures_in_row + 1 if is_fast else 1
        self.has_suspects = True
        if len(self._failing) < 2:  # more are the same to us
            self._failing.add(client.id)
        if client.failures_in_row >= TRIAL_TASKS:
            client.is_proven = False

    def judge(self) -> None:
        """Say of each client with unconfirmed tasks what becomes of them, as far as that is clear.

        To be called after outcomes were recorded, when a client has gone, and now and then.
        """
        if not self._is_on:
            return
        with self._lock:
            by_client = self._store.unconfirmed()
            for client in self._clients_now():
                number = client.unconfirmed = by_client.pop(client.id, 0)
                if client.failures_in_row and not client.is_set_aside:
                    self._judge(client, number)
                elif number and client.is_set_aside:
                    self._publish(client.id, failed=False)
                elif number:
                    self._confirm(client)
                client.unconfirmed = self._store.unconfirmed().get(client.id, 0)
            for client_id, number in by_client.items():  # it has gone
                is_bad = number >= MIN_FAILURES and self._failing <= {client_id}
                is_bad = is_bad and self._succeeded > 0
                self._publish(client_id, failed=not is_bad)
            self.has_suspects = any(
                client.failures_in_row and not (client.is_proven or client.is_set_aside)
                for client in self._clients_now()
            )

    def _judge(self, client: Client, unconfirmed: int) -> None:
        succeeded, failed = self._elsewhere(client)
        is_alone = not self._has_others(client)
        waited = clock.monotonic() - client.failing_since
        if client.is_proven or is_alone:
            self._confirm(client)
        elif client.failures_in_row >= TRIAL_TASKS and _stands_out(client, succeeded, failed):
            self._set_aside(client)
        elif waited >= TRIAL_SECONDS or (unconfirmed and self._is_all_else_done()):
            if succeeded and self._is_the_only_one_that_fails(client):
                self._set_aside(client)
            else:
                client.is_proven = waited >= TRIAL_SECONDS  # it is the tasks, as far as one can see
                self._confirm(client)

    def _is_the_only_one_that_fails(self, client: Client) -> bool:
        return client.failures_in_row >= MIN_FAILURES and self._failing <= {client.id}

    def _confirm(self, client: Client) -> None:
        """What it failed has FAILED, and it may be handed more."""
        if client.unconfirmed:
            client.unconfirmed = 0
            self._publish(client.id, failed=True)
            self._scheduled.wake_all()

    def _set_aside(self, client: Client) -> None:
        client.is_set_aside = client.is_held = True
        self._bus.publish(ClientSetAside, client.id)
        log.warning(
            "client %s on %s failed %d tasks, while others succeed elsewhere: it is set aside and "
            "its tasks run elsewhere (`hyper-shell resume --client %s` trusts it)",
            *(client.id, client.host, client.failures_in_row, client.id),
        )
        self._publish(client.id, failed=False)
        self._scheduled.wake_all()

    def _publish(self, client_id: str, *, failed: bool) -> None:
        recorded = self._store.judge(client_id, failed=failed)
        if recorded and failed:
            self._bus.publish(OutcomesRecorded, recorded)
        elif recorded:
            self._bus.publish(TasksChanged, len(recorded))

    def _clients_now(self) -> list[Client]:
        return self._scheduled.clients()

    def _has_others(self, client: Client) -> bool:
        return any(
            other is not client and not other.is_held and other.want > 0
            for other in list(self._clients.values())
        )

    def _elsewhere(self, client: Client) -> tuple[int, int]:
        """How many tasks of others succeeded, and failed, since this one began to fail."""
        succeeded, failed = client.stood_at
        return self._succeeded - succeeded, self._failed - failed - client.failures_in_row

    def _is_all_else_done(self) -> bool:
        return self._store.unfinished() <= sum(self._store.unconfirmed().values())


def _stands_out(client: Client, succeeded: int, failed: int) -> bool:
    """Whether so long a row of failures is no chance, as others fared meanwhile."""
    share = (failed + 1) / (failed + succeeded + 2)
    return succeeded > 0 and share**client.failures_in_row <= _CHANCE
