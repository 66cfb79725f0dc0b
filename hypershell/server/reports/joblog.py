"""Writes a line for each task that is final, as GNU parallel's `--joblog` does.

A loop of its own, as a disk may be slow: the receiver never waits for it.
"""

import mmap
import os
from collections.abc import Sequence

from hypershell.core.joblog import JOBLOG_HEADER, joblog_line
from hypershell.core.state import FINAL
from hypershell.server.events import ClientJoined, EventBus, OutcomesRecorded
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
        """The run begins: in a file of ours what an earlier one wrote stays, or does not."""
        if append:
            self._sink.begin(_whole_lines)
        else:
            self._sink.begin()
        if not self._sink.sync():
            self.add([(0, JOBLOG_HEADER)])

    def subscribe(self, bus: EventBus) -> None:
        """See Report."""
        bus.subscribe(self.note_client, ClientJoined)
        bus.subscribe(self.note_outcomes, OutcomesRecorded)

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


def check_joblog(path: str | None) -> None:
    """See that a job log can be opened, before there is a run in the database; FileUnwritable."""
    if path is not None:
        os.close(open_file(path, _OPTION))


def open_joblog(path: str | None) -> Joblog | None:
    """A job log at `path`, if one is asked for; FileUnwritable.

    What is there stays until the run begins.
    """
    return None if path is None else Joblog(LineSink(open_file(path, _OPTION), path, ours=True))


def _whole_lines(path: bytes, device: int, inode: int, size: int) -> int:
    """How many bytes of a file are whole lines: a crash may have torn the last one."""
    if not size:
        return 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.rfind(b"\n") + 1
