"""Reads lines, makes bundles of them, and stores them. It writes to the store."""

import logging
import time
from collections.abc import Callable

from hypershell.core.bundle import Bundler
from hypershell.core.errors import StartError
from hypershell.core.task import Task, is_task, new_task
from hypershell.server.lines import LineReader
from hypershell.store.memory import MemoryStore

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
MOST_WAITING_BYTES = 32 * 2**20
"""What may wait in memory before the reader is held back."""


class Intake:
    """Moves lines from the input to the store, no faster than they are run."""

    def __init__(
        self,
        reader: LineReader,
        bundler: Bundler[Task],
        store: MemoryStore,
        next_id: Callable[[], int],
        has_room: Callable[[float], bool],
        added: Callable[[], None],
        ended: Callable[[StartError | None], None],
    ) -> None:
        self._reader = reader
        self._bundler = bundler
        self._store = store
        self._has_room = has_room
        self._added = added
        self._ended = ended
        self._next_id = next_id

    def one_pass(self) -> bool:
        """Read what is there and store the bundles that are full or old enough."""
        due = self._bundler.due(time.monotonic())
        if not self._has_room(1.0 if due is None else min(due, 1.0)):
            if due is not None and due <= 1.0:
                self._store_bundles(self._bundler.flush())
            return True
        bundles = self._bundler.add(self._tasks(due), time.monotonic())
        if self._bundler.due(time.monotonic()) == 0 or self._reader.ended:
            bundles += self._bundler.flush()
        self._store_bundles(bundles)
        if self._reader.ended:
            self._ended(self._reader.error)
            return False
        return True

    def flush(self) -> None:
        """After the last pass: store what still gathers, so that it is named as unfinished."""
        self._store_bundles(self._bundler.flush())

    def _tasks(self, timeout: float | None) -> list[Task]:
        tasks = []
        for number, line in self._reader.read(timeout):
            if is_task(line):
                tasks.append(new_task(line, number, self._next_id()))
        return tasks

    def _store_bundles(self, bundles: list[list[Task]]) -> None:
        if bundles:
            self._store.add([task for bundle in bundles for task in bundle])
            self._added()
