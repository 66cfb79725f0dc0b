"""Submission of lines: to a server, in batches that it has capacity for, or to the database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hypershell.app.origin import submitted_here
from hypershell.app.task_api import LocalTasks, RemoteTasks, TaskSource, open_task_api, refusal
from hypershell.core.errors import SubmitLost
from hypershell.core.one_line import one_line
from hypershell.core.submission import SubmitOptions
from hypershell.core.units import counted
from hypershell.server.input.reader import RecordReader
from hypershell.server.input.sources import InputSource, open_source
from hypershell.wire.client_plane import ClientPlaneProxy
from hypershell.wire.codec import WireError
from hypershell.wire.refusal import CallRefused

_BATCH_LINES = 5000
_BATCH_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Submission:
    """Lines for a server: those that an `input` gives, or one `line`."""

    source: TaskSource
    submit_options: SubmitOptions
    input: InputSource | None = None
    line: bytes = b""


def submit(
    submission: Submission,
    say: Callable[[str], None],
    offline: Callable[[], None] = lambda: None,
) -> Iterator[list[int]]:
    """Submit lines, and yield the ids of each batch as soon as it is stored.

    `say` is told what a person should know of the input. `offline` is called when they are in a
    task database on which no server works. That takes all lines or none; of a server's batches,
    those before an error stay.
    Raises SubmitLost, what is wrong with the input, and what opening the source raises.
    """
    submit_options = submitted_here(submission.submit_options)
    reader = None if submission.input is None else open_source(submission.input, say)
    batches = iter([[submission.line]]) if reader is None else _batches(reader)
    api = open_task_api(submission.source)
    if isinstance(api, LocalTasks):
        yield api.submit(list(batches), submit_options)
        offline()
    else:
        assert isinstance(api, RemoteTasks)
        sender = BatchSender(api.proxy, submit_options)
        for batch in batches:
            yield from sender.send(batch)
    if reader is not None and reader.error is not None:
        raise reader.error


def _batches(reader: RecordReader) -> Iterator[list[bytes]]:
    """The lines that are tasks, as they come."""
    batch: list[bytes] = []
    while not reader.ended:
        batch += _checked(reader)
        while len(batch) >= _BATCH_LINES or sum(map(len, batch)) >= _BATCH_BYTES:
            yield batch[:_BATCH_LINES]
            batch = batch[_BATCH_LINES:]
        if batch and not reader.is_ready():
            yield batch  # a slow producer: do not hold back what it has written so far
            batch = []
    if batch:
        yield batch


def _checked(reader: RecordReader) -> list[bytes]:
    """The next lines that are tasks; the input ends before one with a wrong setting."""
    lines: list[bytes] = []
    for number, text in reader.read(None):
        try:
            task = reader.maker.task(text, number, _no_id)
        except ValueError as error:
            reader.refuse(number, str(error))
            break
        if task is not None:
            lines.append(one_line(task.line))
    return lines


def _no_id() -> int:
    """It gets its id where it is stored."""
    return 0


class BatchSender:
    """Sends batches to a server, one after the other, and counts what was accepted."""

    def __init__(self, proxy: ClientPlaneProxy, submit_options: SubmitOptions) -> None:
        self._proxy = proxy
        self._submit_options = submit_options
        self._accepted = 0

    def send(self, lines: list[bytes]) -> Iterator[list[int]]:
        """Submit these lines, waiting for capacity, and yield the ids of the tasks; SubmitLost."""
        for batch in _by_size(lines):
            ids: list[int] = []
            while not ids:
                try:
                    ids = self._proxy.submit(batch, self._submit_options)
                except (EOFError, OSError, WireError, ValueError, CallRefused) as error:
                    if isinstance(error, CallRefused) and not self._accepted:
                        raise refusal(error, "submit") from error  # nothing was submitted
                    reason = "the server ended" if isinstance(error, EOFError) else str(error)
                    accepted = counted(self._accepted, "task")
                    raise SubmitLost(accepted=accepted, reason=reason) from error
            self._accepted += len(ids)
            yield ids


def _by_size(lines: list[bytes]) -> list[list[bytes]]:
    """The lines in batches that fit into a message."""
    batches: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if batches[-1] and size + len(line) > _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(line)
        size += len(line)
    return batches
