"""One run of a server, from the opened input to the exit status.

The main thread makes the parts, starts their loops, waits in `EndOfRun`, and closes all in the
order of `_close`. Parts hear of each other by events alone, and `_subscribe` says who hears what.
"""

import logging
import math
import os
from collections.abc import Callable, Iterable, Sequence
from socket import socket
from typing import TYPE_CHECKING, Any

from hypershell.access.keys import WORKER
from hypershell.core.bundle import Bundler
from hypershell.core.errors import StartError
from hypershell.core.resources import TaskNeeds
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.runtime import clock, threads
from hypershell.runtime.limits import raise_descriptor_limit
from hypershell.runtime.loop import Loop
from hypershell.server.ending import EndOfRun
from hypershell.server.events import (
    CapacityFreed,
    ClientJoined,
    ClientLeft,
    EventBus,
    HaltMet,
    InputEnded,
    LoopFailed,
    OutcomesRecorded,
    PhaseChanged,
    RunGivenUp,
    SignalCame,
    StopAsked,
    TasksAdded,
    TasksBegun,
    TasksChanged,
    TasksFinal,
)
from hypershell.server.input.capacity import InputCapacity
from hypershell.server.input.intake import Intake
from hypershell.server.input.known_records import KnownRecords
from hypershell.server.input.reader import RecordReader
from hypershell.server.loops.dead_clients import DeadClients, Traces
from hypershell.server.loops.halting import Halting
from hypershell.server.loops.no_clients import NoClients
from hypershell.server.loops.orphans import Orphans
from hypershell.server.loops.receiver import Receiver
from hypershell.server.loops.scheduler import Scheduler
from hypershell.server.loops.silent_clients import SilentClients
from hypershell.server.loops.unfit import UnfitTasks
from hypershell.server.options import Ended, ServerOptions
from hypershell.server.planes.client_service import ClientService
from hypershell.server.planes.completion import CompletionWaiters
from hypershell.server.planes.late_outcomes import LateOutcomes
from hypershell.server.planes.plane_servers import plane_servers
from hypershell.server.planes.worker_service import WorkerService
from hypershell.server.reports.failing_clients import FailingClients
from hypershell.server.reports.failures import Failures
from hypershell.server.reports.joblog import open_joblog
from hypershell.server.reports.reports import Reports
from hypershell.server.reports.sink import LineSink
from hypershell.server.state.client import Client
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.guard import Guard
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.server.state.typical_times import TypicalTimes
from hypershell.server.state.unwritten import UnwrittenOutput
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.plane_server import PlaneServer
from hypershell.wire.worker_messages import Phase

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)

_END_SECONDS = 5.0
"""Seconds that a run may take to end after a second signal, beside the grace time for tasks and as
much for reports."""

_NOTIFY_SECONDS = 1.0
"""Seconds that the end of a run waits for clients that have not heard of it."""

_LAST_OUTPUT_SECONDS = 3.0
"""Seconds that the end of a run waits for clients that still try to write output of tasks."""


class Server:
    """Schedules the tasks of one input and collects their outcomes.

    `run` returns when all of them are final, or when the run was ended early: by `interrupt`, by
    `give_up`, or by a peer on the client plane. Without a `reader` it runs what is submitted until
    it is asked to stop. `planes` are sockets that listen, and the secret of each plane; `facts` is
    what `info` tells of the server itself; `traces` is what dead clients left on this machine.
    """

    def __init__(
        self,
        options: ServerOptions,
        reader: RecordReader | None,
        sink: LineSink,
        planes: dict[str, tuple[socket, bytes]],
        facts: dict[str, Any] | None = None,
        run_session: "RunSession | None" = None,
        traces: Traces | None = None,
    ) -> None:
        self._options = options
        self._reader = reader
        self._run_session = run_session
        self._bus = bus = EventBus()
        input_is_open = reader is not None or options.endless

        self._store = store = self._make_store(sink)
        self._finished = finished = FinishedQueue()
        self._scheduled, self._orphans, self._registry = self._make_clients()
        scheduled, registry = self._scheduled, self._registry
        self._guard = Guard(self._clients, store, scheduled, bus, is_on=options.guards)
        scheduled.most_for = self._guard.most_for
        self._scheduler = Scheduler(store, scheduled, options.bundlesize, TaskNeeds(options.spec))
        self._receiver = Receiver(
            *(finished, store, registry, self._scheduler, scheduled, bus, options.policy),
            guard=self._guard,
        )
        self._silent_clients = SilentClients(
            registry, scheduled, finished, bus, options.lease, self._end_dead
        )
        self._no_clients = NoClients(store, registry, scheduled)
        self._unfit = UnfitTasks(scheduled, finished, fails=options.fails_unfit)
        self._dead_clients: DeadClients | None = None
        if traces is not None:
            self._dead_clients = DeadClients(
                traces, self._orphans, registry, scheduled, finished, bus
            )
        self._failures = Failures(sink, store.printed, self._header)
        self._joblog = open_joblog(options.joblog)
        self._reports = Reports([self._failures, *filter(None, [self._joblog])])
        self._typical_times = TypicalTimes()
        self._capacity = InputCapacity(store, self._failures)
        self._intake = None if reader is None else self._make_intake(reader)
        self._completion = CompletionWaiters()
        self._unwritten_output = UnwrittenOutput()
        self._end = EndOfRun(store, registry, scheduled, options.grace, input_is_open)
        self._plane_servers = self._make_planes(planes, facts or {})
        self._loops = self._make_loops()
        self._subscribe()
        self._unfinished_numbers: tuple[int, ...] = ()
        self._unwritten = 0
        self._signalled = False

    def run(
        self,
        started: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> Ended:
        """Serve until all is done.

        `started` is called once clients can join; `ended` when all is over, before the calls that
        wait for the end are let go.
        """
        begin = clock.monotonic()
        raise_descriptor_limit()
        self._begin_reports()
        for loop in self._loops.values():
            loop.start()
        for plane_server in self._plane_servers.values():
            plane_server.start()
        try:
            started()
            self._scheduler.poke()
            self._end.look()  # there may be nothing to do
            self._end.wait()
            failure = self._finish() or self._end.failure
        finally:
            ended()
            for plane_server in self._plane_servers.values():
                plane_server.stop(patience_seconds=_NOTIFY_SECONDS)
        return Ended(
            counts=self._store.counts(),
            seconds=clock.monotonic() - begin,
            signal=self._end.signal,
            stopped=self._end.stopped,
            halted=self._end.halted,
            error=self._end.input_error,
            failure=failure,
            unfinished_numbers=self._unfinished_numbers,
            failed_numbers=self._failures.unsaved_numbers(),
            unread_from=self._unread_from(),
            unwritten=self._unwritten,
            unwritten_output=self._unwritten_output.texts(),
        )

    def interrupt(self, number: int) -> float:
        """A signal came: SIGINT once finishes what runs; twice, or any other, stops it.

        Returns within how many seconds the process is to have ended then; a first one sets no
        bound of its own. May be called from any thread.
        """
        again, self._signalled = self._signalled, True
        self._bus.publish(SignalCame, number)
        return 2 * self._options.grace + _END_SECONDS if again else math.inf

    def told_to_end(self) -> bool:
        """Whether a signal, a peer or a rule ended the run."""
        return self._end.told_to_end or self._end.signal != 0

    def give_up(self, error: Exception) -> None:
        """The run cannot go on; stop what runs and end. May be called from any thread."""
        self._bus.publish(RunGivenUp, error)

    def pause(self) -> None:
        """This process is about to stop: hand out nothing, and give up no client, until `go_on`."""
        self._scheduled.pause()
        self._registry.pause()

    def go_on(self, own_clients: set[str]) -> None:
        """It runs on. The lease of its own clients, which stood still as well, begins now."""
        self._registry.go_on(own_clients)
        self._scheduled.go_on()

    # Construction.

    def _make_store(self, sink: LineSink) -> TaskStore:
        def on_final(final: Sequence[tuple[int, TaskState]]) -> None:
            self._bus.publish(TasksFinal, final)

        policy, owes = self._options.policy, sink.is_wanted
        if self._run_session is None:
            store = TaskStore(policy, owes=owes, on_final=on_final)
        else:
            journal, start = self._run_session.journal, self._run_session.begun.start
            store = TaskStore(policy, journal, start, owes=owes, on_final=on_final)
        store.input_is_open(self._reader is not None)
        return store

    def _make_clients(self) -> tuple[ScheduledQueue, Orphans, ClientRegistry]:
        """What is known of clients, and of what they have: it shares one lock."""
        options, bus = self._options, self._bus
        begun = None if self._run_session is None else self._run_session.begun
        lease = options.lease if begun is None else begun.lease_seconds
        lock = threads.rlock("registry")
        self._clients = clients = dict[str, Client]()  # the registry's, read by others as well
        scheduled = ScheduledQueue(
            *(lock, options.bundlesize, bus, clients, options.spec, options.policy.max_lost),
            a_second=options.a_second,
        )
        orphans = Orphans(self._store, self._finished, lease, scheduled.cancel, self._end_dead)
        key = None if begun is None else begun.client_key
        registry = ClientRegistry(
            *(lock, options.lease, options.grace, bus, orphans.adopt, clients, key),
            needs=TaskNeeds(options.spec),
        )
        return scheduled, orphans, registry

    def _make_intake(self, reader: RecordReader) -> Intake:
        options = self._options
        return Intake(
            reader,
            Bundler[Task](options.bundlesize, options.bundlewait),
            self._store,
            self._bus,
            self._capacity.wait,
            None if self._run_session is None else self._run_session.digest,
            self._known_records(reader.path),
        )

    def _known_records(self, path: str) -> KnownRecords | None:
        """Those of the input that are passed over; None if it is run as it is."""
        if self._run_session is None or not self._options.updates:
            return None
        return KnownRecords(self._run_session.had_before(os.fsencode(os.path.abspath(path))))

    def _make_planes(
        self, planes: dict[str, tuple[socket, bytes]], facts: dict[str, Any]
    ) -> dict[str, PlaneServer]:
        session = self._run_session
        client_service = ClientService(
            self._store,
            self._registry,
            self._scheduled,
            facts,
            self._bus,
            self._capacity.wait if session is None else _has_capacity,
            self._completion,
            None if session is None else session.queries,
        )
        late = LateOutcomes(self._registry, self._scheduler.take_late, self._scheduled, self._bus)
        worker_service = WorkerService(
            self._registry,
            self._scheduled,
            self._finished,
            late,
            self._options.spec,
            self._unwritten_output,
            self._typical_times.limit_of,
        )
        return plane_servers(planes, worker_service, client_service)

    def _make_loops(self) -> dict[str, Loop]:
        passes: dict[str, tuple[Callable[[], bool], Callable[[], None]]] = {
            "scheduler": (self._scheduler.one_pass, self._scheduler.poke),
            "receiver": (self._receiver.one_pass, self._finished.close),
            "registry": (self._watch_clients, self._registry.wake),
        }
        passes |= {name: (each, lambda: None) for name, each in self._reports.passes().items()}
        if self._intake is not None:
            passes["intake"] = (self._intake.one_pass, self._wake_intake)
        if self._run_session is not None:
            passes["orphans"] = (self._orphans.one_pass, self._orphans.wake)
            passes["database"] = (self._run_session.writer.one_pass, lambda: None)
        if self._dead_clients is not None:
            passes["dead clients"] = (self._dead_clients.one_pass, self._dead_clients.wake)
        return {
            name: Loop(name, one_pass, self._loop_failed, wake)
            for name, (one_pass, wake) in passes.items()
        }

    def _subscribe(self) -> None:
        """Subscribe in this order: reports, waiting calls, loops that may do more, the ending."""
        subscribe, session = self._bus.subscribe, self._run_session
        self._reports.subscribe(self._bus)
        FailingClients().subscribe(self._bus)
        subscribe(self._typical_times.learn, OutcomesRecorded)
        subscribe(self._completion.note_final, TasksFinal)
        if self._options.halt is not None:
            subscribe(
                Halting(self._options.halt, self._scheduled, self._bus).note_final, TasksFinal
            )
        if session is not None:
            # Durable before the client is welcomed: its attempts name it.
            subscribe(
                lambda e: session.note_client(e.client_id, e.host, e.pid, e.slots), ClientJoined
            )
        subscribe(lambda event: self._store.begin(event.client_id, event.begun), TasksBegun)
        subscribe(
            lambda event: self._scheduled.forget(task_id for task_id, _ in event.tasks), TasksFinal
        )
        subscribe(self._scheduled.say_what_is_closed, ClientLeft)
        subscribe(lambda event: self._guard.judge(), ClientLeft)
        subscribe(self._orphans.note_left, ClientLeft)
        if session is not None:
            subscribe(lambda event: session.note_left(event.client_id), ClientLeft)
        # Before the scheduler hears of it: later groups may go now.
        subscribe(lambda event: self._store.input_is_open(False), InputEnded)
        subscribe(self._scheduler.poke, TasksAdded, TasksChanged, InputEnded, CapacityFreed)
        if "intake" in self._loops:
            subscribe(lambda event: self._loops["intake"].stop(), PhaseChanged)
        changes = (OutcomesRecorded, TasksChanged, InputEnded, PhaseChanged)
        subscribe(self._capacity.look, *changes, CapacityFreed)
        subscribe(self._end.note_input, InputEnded)
        subscribe(self._end.look, *changes)
        subscribe(self._end.note, SignalCame)
        subscribe(self._end.note, StopAsked)
        subscribe(self._end.note, HaltMet)
        subscribe(self._end.note, LoopFailed)
        subscribe(self._end.note, RunGivenUp)

    # While it runs.

    def _begin_reports(self) -> None:
        """The reports begin; those of a run that goes on append to what is there."""
        session, goes_on = self._run_session, self._reader is None or self._options.resumes
        if goes_on and session is not None:
            self._failures.go_on(session.begin_sink, session.owed())
        elif goes_on:
            self._failures.go_on()
        elif session is not None:
            self._failures.begin(session.begin_sink)
        if self._joblog is not None:
            self._joblog.begin(append=goes_on)

    def _loop_failed(self, name: str, error: Exception) -> None:
        if not isinstance(error, StartError):
            log.critical("the %s failed: %r", name, error, exc_info=error)
        self._bus.publish(LoopFailed, name, error)

    def _wake_intake(self) -> None:
        if self._reader is not None:
            self._reader.wake()
        self._capacity.look()

    def _end_dead(self, client_ids: Iterable[str]) -> None:
        """See `DeadClients.end`."""
        if self._dead_clients is not None:
            self._dead_clients.end(client_ids)

    def _watch_clients(self) -> bool:
        """One pass of the registry's loop."""
        self._silent_clients.give_up()
        self._no_clients.look()
        self._unfit.look()
        self._guard.judge()
        return True

    def _header(self) -> bytes:
        """What stands before the records of the input; b"" for nothing."""
        return b"" if self._reader is None else self._reader.maker.header

    # The end.

    def _finish(self) -> StartError | None:
        """Close everything; the error that kept the database from being written, if any."""
        try:
            self._close()
        except StartError as error:
            return error
        return None

    def _close(self) -> None:
        """End in an order in which nothing is lost and nobody is left waiting."""
        session, loops, reports = self._run_session, self._loops, self._reports
        if session is not None:
            session.limit_patience(self._options.grace)
        # Clients learn that all is done, and so leave with 0, before their plane closes.
        self._scheduled.set_phase(Phase.OVER)
        self._scheduled.wait_until_known(self._registry.clients(), _NOTIFY_SECONDS)
        self._unwritten_output.wait_for_last(_LAST_OUTPUT_SECONDS)
        self._plane_servers[WORKER].stop(patience_seconds=_NOTIFY_SECONDS)
        # No task is leased from here on, and those that no client has taken wait again.
        self._scheduler.close()
        self._store.take_back(self._scheduled.drain())
        for name, loop in loops.items():
            if name not in ("database", *reports.passes()):
                loop.stop()
        if self._intake is not None and loops["intake"].join(1.0):
            self._intake.flush()
        # The receiver ends its pass: after that no outcome is recorded, and no task is final.
        loops["receiver"].join()
        self._end.wait_for_reports(reports, [loops[name] for name in reports.passes()])
        self._completion.close()
        # Nothing is recorded from here on, but which lines were printed.
        self._unfinished_numbers = tuple(self._store.unfinished_numbers())
        self._unwritten = reports.finish()
        if session is not None:
            session.end([*self._registry.idle_clients(), *self._orphans.overdue])
            loops["database"].join()
            session.close()
        self._end.collect_failures()

    def _unread_from(self) -> int:
        """The number of the first line that was not read; 0 if all were."""
        reader = self._reader
        return 0 if reader is None or reader.ended else reader.lines_read + 1


def _has_capacity(seconds: float) -> bool:
    """A database takes all that is submitted."""
    return True
