"""Writes the lines of failed tasks, byte for byte and once each, in the form the reader takes back.

A loop of its own, as the reader of standard output may be slow: the receiver never waits for it.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from hypershell.core.one_line import one_line
from hypershell.core.state import TaskState
from hypershell.core.task import input_of
from hypershell.core.task_spec import TaskSpec
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

    A task whose input is no line is written as its input has it, each with the separator of the
    sink after it, and the `header` of the input, if it has one, before the first.
    """

    loop_name = "failures"

    def __init__(
        self,
        sink: LineSink,
        printed: Printed = not_stored,
        header: Callable[[], bytes] = lambda: b"",
    ) -> None:
        super().__init__(sink, "failed line", durable=True)
        self._printed = printed
        self._header = header
        self._needs_header = False
        self._all_stored: Callable[[], None] = lambda: None
        self._unsaved: list[int] = []

    def begin(self, noted: Stays) -> None:
        """A run from the first line of its input begins; its file is emptied at that line.

        `noted` hears of the file.
        """
        if (facts := self._sink.facts()) is not None:
            noted(*facts)

    def go_on(
        self, stays: Stays = _all_stays, owed: Sequence[tuple[int, bytes, TaskSpec]] = ()
    ) -> None:
        """A run begins that goes on after an earlier one.

        `stays` says how many bytes of the file that one has written for sure; `owed` are the id,
        line and settings of tasks that it did not print.
        """
        self._is_prepared = True
        length = 0
        if (facts := self._sink.facts()) is not None:
            length = stays(*facts)
            self._sink.cut(length)
        self._needs_header = not length
        if self._sink.is_wanted:
            self._add_inputs(owed)

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
        self._needs_header = True
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
            tasks = [recorded.task for recorded in failed]
            self._add_inputs([(task.id, task.line, task.spec) for task in tasks])

    def _add_inputs(self, tasks: Iterable[tuple[int, bytes, TaskSpec]]) -> None:
        """Add what the input has for tasks, in a form in which it can be read again."""
        separator = self._sink.separator
        self.add((task_id, self._readable(line, spec) + separator) for task_id, line, spec in tasks)

    def _readable(self, line: bytes, spec: TaskSpec) -> bytes:
        text = input_of(line, spec)
        if self._sink.separator == b"\n" in text and not self._sink.may_continue:
            # Of an earlier run, with another separator: the command itself, as one line.
            return one_line(line)
        return text

    def _write(self) -> None:
        if self._needs_header and self._lines:
            self._needs_header = False
            if header := self._header():
                self.add_first((0, header + self._sink.separator))
        super()._write()

    def unsaved_numbers(self) -> tuple[int, ...]:
        """Line numbers of failed tasks, the first of them, where their lines go nowhere."""
        return tuple(sorted(number for number in self._unsaved if number))

    def written(self, task_ids: Sequence[int], length: int) -> None:
        """Nothing more is owed for these; 0 is the header."""
        self._all_stored = self._printed(task_ids, self._sink.path, length)

    def finish(self) -> int:
        """Finish as any spool does, and wait until it is stored which lines were printed."""
        missing = super().finish()
        self._all_stored()
        return missing
