"""Writes a line for each task that is final, as GNU parallel's `--joblog` does.

A loop of its own, as a disk may be slow: the receiver never waits for it.
"""

import mmap
import os
import stat
from collections.abc import Sequence

from hypershell.core.errors import FileNotOurs
from hypershell.core.joblog import JOBLOG_HEADER, joblog_line
from hypershell.core.state import FINAL
from hypershell.server.events import (
    ClientJoined,
    EventBus,
    InputEnded,
    OutcomesRecorded,
    TasksAdded,
)
from hypershell.server.reports.sink import LineSink, open_file
from hypershell.server.reports.spool import Spool
from hypershell.store.tasks.journal import Recorded

_OPTION = "--joblog"


class Joblog(Spool):
    """Moves a line for each final task to a sink, in the order in which they became final.

    Subscribes to OutcomesRecorded, and to ClientJoined for the names of hosts.
    """

    loop_name = "joblog"

    def __init__(self, sink: LineSink) -> None:
        super().__init__(sink, "line", durable=False)
        self._hosts: dict[str, str] = {}

    def begin(self, append: bool) -> None:
        """The run begins: what an earlier one wrote stays, or does until there is something new."""
        if append:
            self._is_prepared = True
            if (facts := self._sink.facts()) is not None:
                self._sink.cut(_whole_lines(facts[0], facts[3]))
            if not self._sink.sync():
                self.add([(0, JOBLOG_HEADER)])

    def subscribe(self, bus: EventBus) -> None:
        """See Report."""
        bus.subscribe(lambda event: self.have_prepared(), TasksAdded)
        bus.subscribe(self._note_input_end, InputEnded)
        bus.subscribe(self.note_client, ClientJoined)
        bus.subscribe(self.note_outcomes, OutcomesRecorded)

    def _note_input_end(self, event: InputEnded) -> None:
        """There is no line, or there was one before."""
        if event.error is None:
            self.have_prepared()

    def prepare(self) -> None:
        """Empty a file of ours, and begin it."""
        self._sink.cut(0)
        self.add_first((0, JOBLOG_HEADER))

    def note_client(self, event: ClientJoined) -> None:
        """Attempts of this client ran on its host."""
        self._hosts[event.client_id] = event.host

    def note_outcomes(self, event: OutcomesRecorded) -> None:
        """Add the lines of what is recorded; returns at once."""
        self.put(event.recorded)

    def put(self, recorded: Sequence[Recorded]) -> None:
        """Add a line for each of these that is final and was tried; returns at once."""
        self.add(
            (
                task.id,
                joblog_line(
                    task.id,
                    self._hosts.get(client, ""),
                    outcome.started_at,
                    outcome.seconds,
                    outcome.ending,
                    outcome.code,
                    task.line,
                ),
            )
            for task, state, outcome, client, _ in recorded
            if state in FINAL and outcome.ending.tried
        )


def check_joblog(path: str | None, overwrite: bool) -> None:
    """See that a job log can be opened, before there is a run in the database.

    FileUnwritable; FileNotOurs if there is something else in it, and we may not `overwrite` it.
    """
    if path is None:
        return
    descriptor = open_file(path, _OPTION)
    try:
        status = os.fstat(descriptor)
        if overwrite or not stat.S_ISREG(status.st_mode) or not status.st_size:
            return
    finally:
        os.close(descriptor)
    if not _is_joblog(path):
        raise FileNotOurs(path=path, reason="it is not a job log", option=_OPTION)


def _is_joblog(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(JOBLOG_HEADER)) == JOBLOG_HEADER
    except OSError:
        return False  # one that may be written and not read


def open_joblog(path: str | None) -> Joblog | None:
    """A job log at `path`, if one is asked for; FileUnwritable.

    What is there stays until the run begins.
    """
    return None if path is None else Joblog(LineSink(open_file(path, _OPTION), path, ours=True))


def _whole_lines(path: bytes, size: int) -> int:
    """How many bytes of a file are whole lines: a crash may have torn the last one."""
    if not size:
        return 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.rfind(b"\n") + 1
