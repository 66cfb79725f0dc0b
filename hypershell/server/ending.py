"""When a run ends, and why: the inbox of the main thread.

The invariant: everything that can end a run is an event in one inbox, in the order in which it
happened, and only the main thread takes from it and changes the phase. The phase only grows:
RUNNING, DRAINING (a first SIGINT, a stop that drains), STOPPING (any other event, or a second
one), OVER.

Called from any thread: `look` and what is subscribed to events, which only put into the inbox and
take no lock but those that `TaskStore.unfinished` and `ClientRegistry.claimed` take for an instant.
Called from the main thread: `wait`, then, in the order that `Server._close` gives,
`wait_for_reports` and `collect_failures`. `look` never decides: it says that the run may be over,
and `wait` asks the store to close, as something may have been submitted in between.

Nothing that failed is dropped. The first failure counts, as later ones follow from it, and one that
comes while the last lines are written counts as well. Only that all clients have ended is not a
failure by then, as it is the end that made them leave.
"""

import logging
import math
import signal
from collections.abc import Sequence

from hypershell.core.errors import ClientsEnded, StartError
from hypershell.core.halt import HaltRule
from hypershell.core.units import counted
from hypershell.runtime import clock, threads
from hypershell.runtime.loop import Loop
from hypershell.runtime.signals import ENDING
from hypershell.server.events import (
    HaltMet,
    InputEnded,
    LoopFailed,
    RunGivenUp,
    SignalCame,
    StopAsked,
)
from hypershell.server.reports.reports import Reports
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.worker_messages import Phase

log = logging.getLogger(__name__)

_STOP_SECONDS = 2.0
"""Seconds after the grace time for clients to report that their tasks have stopped."""

_SIGNAL_SECONDS = 1.0
"""Seconds within which a signal that is sent to clients and server alike has come to both."""


Ending = SignalCame | StopAsked | HaltMet | LoopFailed | RunGivenUp
"""What ends a run, or hastens its end."""


class _MaybeOver:
    """Nothing may be left to do."""


class _ReportsWritten:
    """All lines are out, or given up."""


class EndOfRun:
    """Waits for the end of one run. Its public attributes are what `wait` found out.

    `input_is_open` says whether lines may still come, be they read or submitted.
    """

    def __init__(
        self,
        store: TaskStore,
        registry: ClientRegistry,
        scheduled: ScheduledQueue,
        grace_seconds: float,
        input_is_open: bool,
    ) -> None:
        self._store = store
        self._registry = registry
        self._scheduled = scheduled
        self._grace_seconds = grace_seconds
        self._input_is_open = input_is_open
        self._inbox: threads.Inbox[Ending | _MaybeOver | _ReportsWritten] = threads.Inbox()
        self.signal = 0
        self.stopped = False
        self.halted: HaltRule | None = None
        self.failure: Exception | None = None
        self.input_error: StartError | None = None

    def note(self, event: Ending) -> None:
        """Something ends the run, or hastens its end."""
        self._inbox.put(event)

    @property
    def told_to_end(self) -> bool:
        """Whether a peer or a rule ended the run, with tasks left to do."""
        return self.stopped or self.halted is not None

    def note_input(self, event: InputEnded) -> None:
        """No more lines come."""
        self.input_error = event.error
        if event.error is not None:
            log.error("%s", event.error)
        self._input_is_open = False

    def look(self, _: object = None) -> None:
        """Something was recorded or changed: the run may be over."""
        if self._scheduled.phase is Phase.RUNNING:
            is_over = not self._input_is_open and not self._store.unfinished()
        else:
            is_over = not self._registry.claimed()
        if is_over:
            self._inbox.put(_MaybeOver())

    def wait(self) -> None:
        """Block until every task is final, or the run must end."""
        deadline: float | None = None
        while True:
            remaining = None if deadline is None else max(0.0, deadline - clock.monotonic())
            event = self._inbox.get(timeout=remaining)
            if event is None:
                log.warning("%s did not stop in time", counted(self._registry.claimed(), "task"))
                return
            again = self.signal != 0 or self.told_to_end or deadline is not None
            match event:
                case _MaybeOver():
                    if self._scheduled.phase is not Phase.RUNNING or (
                        self._store.close_if_finished()
                    ):
                        return
                    continue  # something was submitted at the last moment
                case SignalCame(number):
                    self.signal = number
                    if number == signal.SIGINT and not again:
                        self._drain("press Ctrl-C again to stop them")
                        continue
                case StopAsked(drain):
                    self.stopped = True
                    if drain and not again:
                        self._drain("no new tasks are started")
                        continue
                case RunGivenUp(ClientsEnded() as error):
                    self._note_clients_ended(error)
                    return  # there is nobody to wait for
                case HaltMet(rule):
                    if again:
                        continue  # it ends for another reason, and says that
                    self.halted = rule
                    if not rule.now:
                        self._drain("no new tasks are started")
                        continue
                case LoopFailed(error=error) | RunGivenUp(error):
                    self.failure = self.failure or error
            if deadline is None:
                self._stop()
                deadline = clock.monotonic() + self._grace_seconds + _STOP_SECONDS

    def _note_clients_ended(self, error: ClientsEnded) -> None:
        """All clients have ended, perhaps by a signal that is on its way here as well."""
        by_signal = error.facts["status"] % 128 in ENDING
        deadline = clock.monotonic() + (_SIGNAL_SECONDS if by_signal else 0.0)
        while not self.signal:
            match self._inbox.get(timeout=max(0.0, deadline - clock.monotonic())):
                case None:
                    self.failure = self.failure or error
                    return
                case SignalCame(number):
                    self.signal = number
                case LoopFailed(error=failed):
                    self.failure = self.failure or failed

    def _drain(self, how: str) -> None:
        if claimed := self._registry.claimed():
            log.warning("waiting for running tasks (%d on clients); %s", claimed, how)
        self._scheduled.set_phase(Phase.DRAINING)

    def _stop(self) -> None:
        if claimed := self._registry.claimed():
            log.warning("stopping running tasks (%d on clients)", claimed)
        self._scheduled.set_phase(Phase.STOPPING)

    def wait_for_reports(self, reports: Reports, loops: Sequence[Loop]) -> None:
        """Nothing more comes for the reports: wait until these, their loops, have written it.

        Their reader may be slow: a signal ends the patience. If one has ended the run, they have
        the grace time.
        """
        reports.close(patient=True)
        for loop in loops:
            loop.when_over(lambda: self._inbox.put(_ReportsWritten()))
        deadline = clock.monotonic() + self._grace_seconds if self.signal else math.inf
        while loops:
            patience = deadline - clock.monotonic()
            match self._inbox.get(timeout=None if patience == math.inf else max(0.0, patience)):
                case _ReportsWritten():
                    if all(loop.is_over for loop in loops):
                        return
                case None | SignalCame():
                    reports.close(patient=False)
                    deadline = math.inf
                case LoopFailed(error=error):
                    self.failure = self.failure or error

    def collect_failures(self) -> None:
        """All loops have ended: what failed since `wait` counts as well."""
        while (event := self._inbox.get(timeout=0)) is not None:
            if isinstance(event, LoopFailed):
                self.failure = self.failure or event.error
