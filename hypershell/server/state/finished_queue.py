"""The finished queue: outcomes on their way from clients to the store.

A call that gives outcomes for a client waits until they are recorded: its answer is the promise
that they will not be lost. While one batch is recorded the next one gathers.
"""

from dataclasses import dataclass, field

from hypershell.core.outcome import Outcome
from hypershell.runtime import threads
from hypershell.server.state.client import Client


@dataclass(slots=True, eq=False)
class Batch:
    """Outcomes that one client gave at once. It is `done` without being `recorded` if all ends."""

    client: Client
    outcomes: list[Outcome]
    recorded: bool = False
    done: threads.Event = field(default_factory=lambda: threads.event())


class FinishedQueue:
    """Batches in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threads.condition("finished queue")
        self._batches: list[Batch] = []
        self._closed = False

    def give(self, batch: Batch, seconds: float | None = None) -> bool:
        """Add a batch and wait at most `seconds` until it is recorded; whether it was.

        A server that ends takes none: the batch is done at once, and not recorded.
        """
        with self._changed:
            if self._closed:
                batch.done.set()
                return False
            self._batches.append(batch)
            self._changed.notify()
        batch.done.wait(seconds)
        return batch.recorded

    def size(self) -> int:
        """How many batches wait to be recorded."""
        return len(self._batches)

    def put(self, client: Client, outcomes: list[Outcome]) -> None:
        """Add outcomes that the server itself found, and do not wait."""
        with self._changed:
            self._batches.append(Batch(client, outcomes))
            self._changed.notify()

    def take(self) -> list[Batch]:
        """Wait for batches and return all that are here; none when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._closed)
            batches, self._batches = self._batches, []
            return batches

    @property
    def is_closed(self) -> bool:
        """Whether the server ends, and takes no more."""
        return self._closed

    def close(self) -> None:
        """Take no more, and let all calls go that wait."""
        with self._changed:
            self._closed = True
            for batch in self._batches:
                batch.done.set()
            self._batches = []
            self._changed.notify_all()
