"""How many tasks may wait in memory before those who bring more are held back."""

from hypershell.runtime import threads
from hypershell.server.reports.failures import Failures
from hypershell.store.tasks.task_store import TaskStore

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 32 * 2**20
"""Tasks and lines that may wait in memory: to be handed out, or to be written as failed."""


class InputCapacity:
    """Holds back the intake and submissions. Safe to use from several threads.

    The lock of its condition is held while it asks the store, which takes its own inside.
    """

    def __init__(self, store: TaskStore, failures: Failures) -> None:
        self._store = store
        self._failures = failures
        self._changed = threads.condition("capacity")

    def wait(self, timeout: float) -> bool:
        """Whether more may come, waiting for it at most `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_free, timeout)

    def look(self, _: object = None) -> None:
        """There may be capacity again: let those who wait see."""
        with self._changed:
            self._changed.notify_all()

    def _is_free(self) -> bool:
        tasks, size = self._store.backlog()
        lines, line_bytes = self._failures.pending()
        return tasks + lines < MAX_WAITING and size + line_bytes < MAX_WAITING_BYTES
