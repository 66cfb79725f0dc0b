"""Questions to a task database that may hang: a frozen disk, a stopped PostgreSQL.

Nothing can end a call that hangs in the system or in a driver. So each question has a thread of its
own, and who asked waits for that with patience: a question may take long, but while it does, a
trivial one must be answered at once. If it is not, the database hangs, which is said to who asked
and to the log; threads that hang are left to themselves, and no more are begun until one returns.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from hypershell.core.query.selection import Selection
from hypershell.runtime import clock, threads
from hypershell.store.sql.engine import Database
from hypershell.store.sql.errors import DatabaseUnusable
from hypershell.store.sql.queries import MAX_ROWS, Queries
from hypershell.store.sql.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

_QUESTION_SECONDS = 2.5
_PROBE_SECONDS = 1.5


class _Question(Generic[T]):
    """One call in a thread of its own."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._answers: list[T] = []
        self._error: BaseException | None = None
        self.asked = clock.monotonic()
        self.done = threads.event()

    def ask(self) -> None:
        """Start it."""
        threads.start_thread("question", self._run)

    def answer(self) -> T:
        """What it returned or raised, once it is done."""
        if self._error is not None:
            raise self._error
        return self._answers[0]

    def _run(self) -> None:
        try:
            self._answers.append(self._call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the question was asked
            self._error = error
        finally:
            self.done.set()


class PatientQueries(Queries):
    """The answers of `Queries`, or DatabaseUnusable in seconds from a database that hangs.

    Safe to use from several threads.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        super().__init__(database)
        self._writer = writer
        self._probe: _Question[None] | None = None
        self._was_silent = False

    def silent_seconds(self) -> float:
        """For how long the database has not answered; 0 if it does, as far as is known."""
        probe = self._probe
        waited = 0.0
        if probe is not None and not probe.done.is_set():
            waited = clock.monotonic() - probe.asked
        return max(self._writer.silent_seconds(), waited if waited > _PROBE_SECONDS else 0.0)

    def check_answers(self) -> None:
        """Raise DatabaseUnusable if it hangs, as far as is known."""
        if self.silent_seconds():
            raise self._unanswered()

    def count(self, selection: Selection) -> int:
        """As `Queries` says, here and below."""
        return self._ask(lambda: Queries.count(self, selection))

    def rows(
        self, selection: Selection, fields: Sequence[str], after: int = 0, limit: int = MAX_ROWS
    ) -> tuple[list[list[Any]], int]:
        """Fields of tasks."""
        return self._ask(lambda: Queries.rows(self, selection, fields, after, limit))

    def task(self, task_id: int) -> dict[str, Any] | None:
        """One task."""
        return self._ask(lambda: Queries.task(self, task_id))

    def output(self, task_id: int) -> list[bytes] | None:
        """What a task printed."""
        return self._ask(lambda: Queries.output(self, task_id))

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """Causes."""
        return self._ask(lambda: Queries.failures(self, selection))

    def unfinished(self, selection: Selection, limit: int) -> list[int]:
        """Ids."""
        return self._ask(lambda: Queries.unfinished(self, selection, limit))

    def outcome(self, selection: Selection) -> tuple[int, int]:
        """How many are not final, and how many are bad."""
        return self._ask(lambda: Queries.outcome(self, selection))

    def _ask(self, call: Callable[[], T]) -> T:
        self.check_answers()
        question = _Question(call)
        try:
            question.ask()
        except RuntimeError:
            return call()  # no thread to spare: without patience then
        while not question.done.wait(_QUESTION_SECONDS):
            if not self._answers():
                raise self._unanswered()
        return question.answer()

    def _answers(self) -> bool:
        """Whether the database answers the simplest question, now."""
        if self.silent_seconds():
            return False
        probe = self._probe = _Question(self._database.ping)
        try:
            probe.ask()
        except RuntimeError:
            return True  # nobody knows
        if probe.done.wait(_PROBE_SECONDS):
            self._was_silent = False
            return True
        if not self._was_silent:
            self._was_silent = True
            log.error("the task database %s does not answer", self._database.where)
        return False

    def _unanswered(self) -> DatabaseUnusable:
        return DatabaseUnusable(where=self._database.where, reason="it does not answer")
