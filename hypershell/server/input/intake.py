"""Reads lines, makes bundles of them, and stores them. It writes to the store."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from hypershell.core.bundle import Bundler
from hypershell.core.task import Task
from hypershell.core.units import counted
from hypershell.runtime import clock
from hypershell.server.events import EventBus, InputEnded, TasksAdded
from hypershell.server.input.known_records import KnownRecords
from hypershell.server.input.reader import RecordReader
from hypershell.store.tasks.journal import Progress
from hypershell.store.tasks.task_store import TaskStore

log = logging.getLogger(__name__)

_EVERYTHING = 2**62


class Digest(Protocol):
    """A hash object of hashlib, as far as it is used here."""

    def update(self, data: bytes, /) -> None:
        """Feed these bytes."""

    def digest(self) -> bytes:
        """The digest of everything fed so far."""


class Intake:
    """Moves lines from the input to the store, no faster than they are run.

    `has_capacity` waits that many seconds at most until more may wait. Records that are `known` are
    passed over. Publishes TasksAdded, and
    InputEnded as its last event.
    """

    def __init__(
        self,
        reader: RecordReader,
        bundler: Bundler[Task],
        store: TaskStore,
        bus: EventBus,
        has_capacity: Callable[[float], bool],
        digest: Digest | None = None,
        known: KnownRecords | None = None,
    ) -> None:
        self._reader = reader
        self._bundler = bundler
        self._store = store
        self._bus = bus
        self._has_capacity = has_capacity
        self._digest = digest
        self._known = known
        self._last_line = reader.lines_read  # by an earlier run, where this one resumes it
        self._passed: deque[tuple[int, bytes]] = deque()  # lines of which the digest is to come

    def one_pass(self) -> bool:
        """Read what is there and store the bundles that are full or old enough."""
        due = self._bundler.due(clock.monotonic())
        if not self._has_capacity(1.0 if due is None else min(due, 1.0)):
            if due is not None and due <= 1.0:
                self._store_bundles(self._bundler.flush())
            return True
        bundles = self._bundler.add(self._tasks(due), clock.monotonic())
        if self._bundler.due(clock.monotonic()) == 0 or self._reader.ended:
            bundles += self._bundler.flush()
        self._store_bundles(bundles)
        if self._reader.ended:
            if self._known is not None:
                number = counted(self._known.passed, "record")
                log.info("%s passed over that earlier runs of this input had", number)
            self._bus.publish(InputEnded, self._reader.error)
            return False
        return True

    def flush(self) -> None:
        """After the last pass: store what still gathers, so that it is named as unfinished."""
        if bundles := self._bundler.flush():
            self._store_bundles(bundles)

    def _tasks(self, timeout: float | None) -> list[Task]:
        tasks: list[Task] = []
        make, new_id = self._reader.maker.task, self._store.new_id
        for number, line in self._reader.read(timeout):
            try:
                task = make(line, number, new_id)
            except ValueError as error:
                self._reader.refuse(number, str(error))
                return tasks
            if task is not None and not (self._known and self._known.pass_over(task)):
                tasks.append(task)
            if self._digest is not None:
                self._passed.append((number, line))
        return tasks

    def _store_bundles(self, bundles: list[list[Task]]) -> None:
        tasks = [task for bundle in bundles for task in bundle]
        over = self._reader.ended
        if tasks or (over and self._digest is not None):
            progress = self._progress(_EVERYTHING if over else tasks[-1].number)
            self._store.add(tasks, progress=progress)
            self._bus.publish(TasksAdded, len(tasks))
        elif self._bundler.due(0.0) is None:
            self._progress(_EVERYTHING)  # nothing that was read is a task: it need not be stored

    def _progress(self, last_number: int) -> Progress | None:
        """How far the input is stored: up to that line, or all that was read."""
        if self._digest is None:
            return None
        lines = []
        while self._passed and self._passed[0][0] <= last_number:
            self._last_line, line = self._passed.popleft()
            lines.append(line + b"\n")
        self._digest.update(b"".join(lines))
        ended = self._reader.ended and self._reader.error is None and not self._passed
        return Progress(self._last_line, self._digest.digest(), ended)
