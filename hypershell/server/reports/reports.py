"""Where a run writes what became of its tasks: failed lines, and the job log.

Each has a loop of its own, as whoever reads may be slow: the receiver never waits for them.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hypershell.core.state import TaskState
from hypershell.runtime.loop import Loop
from hypershell.runtime.signals import leave_signals_alone
from hypershell.server.reports.failures import Failures
from hypershell.server.reports.joblog import Joblog
from hypershell.server.reports.sink import LineSink
from hypershell.server.state.registry import Client
from hypershell.store.tasks.journal import Recorded
from hypershell.store.tasks.task_store import TaskStore

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession


class Reports:
    """The failed lines of a run, and its job log if there is one."""

    def __init__(self, sink: LineSink, joblog: Joblog | None, store: TaskStore) -> None:
        self.failures = Failures(sink, store.printed)
        self._joblog = joblog
        store.owes = self.failures.keeps

    def begin(self, run_session: "RunSession | None", goes_on: bool) -> None:
        """The run begins; one that goes on appends to what is there."""
        if run_session is None:
            self.failures.begin()
        else:
            self.failures.begin(run_session.begin_sink, run_session.owed())
        if self._joblog is not None:
            self._joblog.begin(append=goes_on)

    def note_client(self, client: Client) -> None:
        """What this client gives ran on its host."""
        if self._joblog is not None:
            self._joblog.note_client(client.id, client.host)

    def put(self, recorded: Sequence[Recorded]) -> None:
        """Outcomes are recorded; returns at once."""
        self.failures.put([r for r in recorded if r.state is TaskState.FAILED])
        if self._joblog is not None:
            self._joblog.put(recorded)

    def passes(self) -> dict[str, Callable[[], bool]]:
        """The pass of each loop, by its name."""
        passes = {"failures": self.failures.one_pass}
        if self._joblog is not None:
            passes["joblog"] = self._joblog.one_pass
        return passes

    def close(self, loops: dict[str, Loop], inbox: "queue.SimpleQueue[tuple[str, object]]") -> None:
        """Nothing more comes: wait until all lines are out.

        Their reader may be slow: a signal in the inbox ends the patience.
        """
        finished = threading.Event()
        self._close(patient=True)

        def watch() -> None:
            leave_signals_alone()
            for name in self.passes():
                loops[name].join()
            finished.set()
            inbox.put(("written", None))

        threading.Thread(target=watch, name="last lines", daemon=True).start()
        while not finished.is_set():
            what, _ = inbox.get()
            if what == "signal":
                self._close(patient=False)

    def finish(self) -> int:
        """After all that: how many lines could not be written."""
        missing = self.failures.finish()
        return missing if self._joblog is None else missing + self._joblog.finish()

    def _close(self, patient: bool) -> None:
        self.failures.close(patient)
        if self._joblog is not None:
            self._joblog.close(patient)
