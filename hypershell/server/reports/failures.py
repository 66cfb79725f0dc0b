"""Writes the lines of failed tasks, byte for byte and once each, in the form the reader takes back.

A loop of its own, as the reader of standard output may be slow: the receiver never waits for it.
"""

import logging
from collections.abc import Callable, Sequence

from hypershell.core.state import TaskState
from hypershell.server.events import EventBus, InputEnded, OutcomesRecorded, TasksAdded
from hypershell.server.reports.sink import LineSink
from hypershell.server.reports.spool import Spool
from hypershell.store.tasks.journal import Recorded

log = logging.getLogger(__name__)

_MAX_NUMBERS = 10_000

Printed = Callable[[Sequence[int], bytes, int], Callable[[], None]]
"""Takes the ids of tasks whose lines are written, the path of a file of ours and its length.

What it returns waits until that is durable.
"""


def not_stored(task_ids: Sequence[int], path: bytes, length: int) -> Callable[[], None]:
    """Without a database, nobody needs to know what was printed."""
    return lambda: None


Stays = Callable[[bytes, int, int, int], int]
"""Takes path, device, inode and size of a file; how many of its bytes are to stay."""


def _all_stays(path: bytes, device: int, inode: int, size: int) -> int:
    return size


class Failures(Spool):
    """Moves the lines of failed tasks to a sink, as they come.

    Subscribes to OutcomesRecorded, and to what says that the run has tasks, or none: what an
    earlier run wrote to a file stays until then. A start that was a mistake costs nothing.
    """

    loop_name = "failures"

    def __init__(self, sink: LineSink, printed: Printed = not_stored) -> None:
        super().__init__(sink, "failed line", durable=True)
        self._printed = printed
        self._all_stored: Callable[[], None] = lambda: None
        self._unsaved: list[int] = []

    def begin(self, noted: Stays) -> None:
        """A run from the first line of its input begins; its file is emptied at that line.

        `noted` hears of the file.
        """
        if (facts := self._sink.facts()) is not None:
            noted(*facts)

    def go_on(self, stays: Stays = _all_stays, owed: Sequence[tuple[int, bytes]] = ()) -> None:
        """A run begins that goes on after an earlier one.

        `stays` says how many bytes of the file that one has written for sure; `owed` are the id and
        line of tasks that it did not print.
        """
        self._is_prepared = True
        if (facts := self._sink.facts()) is not None:
            self._sink.cut(stays(*facts))
        if self._sink.is_wanted:
            self.add((task_id, line + b"\n") for task_id, line in owed)

    def subscribe(self, bus: EventBus) -> None:
        """See Report."""
        bus.subscribe(lambda event: self.have_prepared(), TasksAdded)
        bus.subscribe(self._note_input_end, InputEnded)
        bus.subscribe(self.note_outcomes, OutcomesRecorded)

    def _note_input_end(self, event: InputEnded) -> None:
        """There is no line, or there was one before."""
        if event.error is None:
            self.have_prepared()

    def prepare(self) -> None:
        """Empty a file of ours, and see that this is stored before a line is written."""
        if (facts := self._sink.facts()) is not None:
            self._sink.cut(0)
            self._printed((), facts[0], 0)()

    def note_outcomes(self, event: OutcomesRecorded) -> None:
        """Add the lines of the tasks that are FAILED now; returns at once."""
        self.put([each for each in event.recorded if each.state is TaskState.FAILED])

    def put(self, failed: list[Recorded]) -> None:
        """Add the lines of tasks that are finally failed; returns at once."""
        for recorded in failed:
            log.debug(
                "task %d (line %d) failed on attempt %d: %s",
                recorded.task.id,
                recorded.task.number,
                recorded.attempt,
                recorded.outcome.cause,
            )
        if not self._sink.is_wanted:
            capacity = _MAX_NUMBERS - len(self._unsaved)
            self._unsaved += [recorded.task.number for recorded in failed[:capacity]]
        elif failed:
            self.add((recorded.task.id, recorded.task.line + b"\n") for recorded in failed)

    def unsaved_numbers(self) -> tuple[int, ...]:
        """Line numbers of failed tasks, the first of them, where their lines go nowhere."""
        return tuple(sorted(number for number in self._unsaved if number))

    def written(self, task_ids: Sequence[int], length: int) -> None:
        """Nothing more is owed for these."""
        self._all_stored = self._printed(task_ids, self._sink.path, length)

    def finish(self) -> int:
        """Finish as any spool does, and wait until it is stored which lines were printed."""
        missing = super().finish()
        self._all_stored()
        return missing
