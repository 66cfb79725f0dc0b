"""Takes from the finished queue and records in the store."""

from hypershell.core.ending import CountsAs, Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.core.state import TaskState
from hypershell.server.events import EventBus, OutcomesRecorded
from hypershell.server.loops.scheduler import Scheduler
from hypershell.server.state.client import Client
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.guard import Guard
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.worker_messages import Phase


class Receiver:
    """Makes outcomes final. A batch is acknowledged after it is recorded, never before.

    Publishes OutcomesRecorded when the batches of a pass are acknowledged.
    """

    def __init__(
        self,
        finished: FinishedQueue,
        store: TaskStore,
        registry: ClientRegistry,
        scheduler: Scheduler,
        scheduled: ScheduledQueue,
        bus: EventBus,
        policy: Policy,
        guard: Guard,
    ) -> None:
        self._policy = policy
        self._guard = guard
        self._finished = finished
        self._store = store
        self._registry = registry
        self._scheduler = scheduler
        self._scheduled = scheduled
        self._bus = bus

    def one_pass(self) -> bool:
        """Record all batches that are here, waiting for the first."""
        batches = self._finished.take()
        if not batches:
            return False
        stopping = self._scheduled.phase >= Phase.STOPPING
        given = [(batch.client.id, batch.outcomes) for batch in batches]
        bad = [[outcome for outcome in batch.outcomes if not outcome.ok] for batch in batches]
        for batch, its_bad in zip(batches, bad, strict=True):
            if its_bad:
                self._raise_barriers(batch.client, its_bad)
        on_trial = self._guard.note(
            (batch.client, batch.outcomes, its_bad)
            for batch, its_bad in zip(batches, bad, strict=True)
        )
        recorded = self._store.record(given, stopping, on_trial)
        for batch in batches:
            self._registry.release(batch.client, batch.outcomes)
        if any(r.state is TaskState.WAITING for r in recorded):
            self._scheduler.dispatch_urgent()
        if self._scheduled.capacity() and self._store.backlog()[0]:
            self._scheduler.poke()  # for what came back, or a group that may go now
        for batch in batches:
            batch.recorded = True
            batch.done.set()
        self._bus.publish(OutcomesRecorded, recorded)
        if self._guard.has_suspects:
            self._guard.judge()
        return True

    def _raise_barriers(self, client: Client, bad: list[Outcome]) -> None:
        """Keep from a client what it could not do, before that can be given to it again."""
        failed = [each.task_id for each in bad if each.ending.counts_as is CountsAs.FAILURE]
        if failed:
            self._scheduled.note_failed(client, failed)
            delays = {t.id: self._policy.delay(t) for t in self._store.handed_out(failed)}
            self._scheduled.delay({task_id: delay for task_id, delay in delays.items() if delay})
        refused = {e.task_id: e.reason for e in bad if e.ending is Ending.NO_DIRECTORY}
        if refused and (tasks := self._store.handed_out(refused)):
            self._scheduled.note_refused(client, tasks, next(iter(refused.values())))
