"""Tasks that clients of a server that died may still hold: they have a lease to reconnect."""

import logging
from collections.abc import Callable, Iterable

from hypershell.core.outcome import Outcome
from hypershell.core.task import Task
from hypershell.core.units import counted
from hypershell.runtime import threads
from hypershell.server.events import ClientLeft
from hypershell.server.state.client import Client, Pairs
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.store.tasks.task_store import TaskStore

log = logging.getLogger(__name__)


class Orphans:
    """Waits for as long as a client of that server may hold a task; it gives to the finished queue.

    What no client holds when all of them are back or gone never began, and waits again at once; of
    what is left when the lease is over nobody knows. What was known to have begun is lost.
    `cancel` takes the tasks that came back and that somebody cancelled; it returns those that no
    client has taken. `end_dead` is called with the ids of the clients that are still waited for
    before anything is given up: it ends what is left of those that are dead.
    """

    def __init__(
        self,
        store: TaskStore,
        finished: FinishedQueue,
        lease_seconds: float,
        cancel: Callable[[Pairs], list[Task]],
        end_dead: Callable[[Iterable[str]], None] = lambda client_ids: None,
    ) -> None:
        self._end_dead = end_dead
        self._store = store
        self._recovery = store.recovery
        self._finished = finished
        self._cancel = cancel
        self._lease_seconds = lease_seconds
        self._changed = threads.condition("orphans")
        self._stopped = False
        self._over = False
        self.overdue: list[str] = []
        """Clients whose lease passed without a word: they have stopped what they ran."""

    def one_pass(self) -> bool:
        """Wait, once."""
        if number := len(self._recovery.orphans()):
            log.info(
                "%s %s handed out by the previous server; waiting up to %g s for its clients to "
                "reconnect or leave",
                counted(number, "task"),
                "was" if number == 1 else "were",
                self._lease_seconds,
            )
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopped or self._recovery.all_seen(), self._lease_seconds
                )
            if not self._stopped:
                self._end_dead(self._recovery.absent())
                self._give_up()
        self._over = True
        return False

    def absent(self) -> list[str]:
        """The clients that are still waited for."""
        return [] if self._over else self._recovery.absent()

    def give_up_begun(self, client: str, begun: Pairs) -> list[Outcome]:
        """What becomes of tasks that a client had begun which is gone; to be recorded."""
        return self._recovery.give_up_begun(client, begun)

    def _give_up(self) -> None:
        outcomes = self._recovery.give_up()
        # Not before: a client that came back in between would hold tasks and count as gone.
        self.overdue = self._recovery.absent()
        if outcomes:
            log.info("no client reconnected with %s; rescheduling", counted(len(outcomes), "task"))
            self._finished.put(Client("", "", 0, 1, 0.0), outcomes)

    def adopt(self, client: str, held: Pairs) -> list[Task] | None:
        """The tasks that a client of the previous server continues; None if it is a new one."""
        adopted = self._recovery.adopt(client, held)
        self._look()
        if adopted and (unwanted := self._store.to_cancel()):
            # Perhaps also tasks of this run, which a call that cancels them is about to take back.
            self._store.take_back(self._cancel(unwanted))
        return adopted

    def note_left(self, event: ClientLeft) -> None:
        """A client left, perhaps one that only a server before this knew."""
        self._recovery.seen(event.client_id)
        self._look()

    def _look(self) -> None:
        """A client is back, or gone; when all of them are, the wait is over."""
        with self._changed:
            self._changed.notify()

    def wake(self) -> None:
        """End the wait, and do nothing."""
        self._stopped = True
        self._look()
