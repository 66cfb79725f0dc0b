"""One run of a server, from the opened input to the exit status."""

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable
from socket import socket
from typing import TYPE_CHECKING, Any

from hypershell.access.keys import CLIENT, WORKER
from hypershell.core.bundle import Bundler
from hypershell.core.errors import ClientsEnded, StartError
from hypershell.core.task import Ending, Task
from hypershell.core.units import counted
from hypershell.runtime.limits import raise_descriptor_limit
from hypershell.runtime.loop import Loop
from hypershell.server.input.intake import MAX_WAITING, MAX_WAITING_BYTES, Intake
from hypershell.server.input.lines import LineReader
from hypershell.server.loops.orphans import Orphans
from hypershell.server.loops.receiver import Receiver
from hypershell.server.loops.scheduler import Scheduler
from hypershell.server.options import Ended, ServerOptions
from hypershell.server.planes.client_service import ClientService
from hypershell.server.planes.completion import CompletionWaiters
from hypershell.server.planes.worker_service import WorkerService
from hypershell.server.reports.joblog import open_joblog
from hypershell.server.reports.reports import Reports
from hypershell.server.reports.sink import LineSink
from hypershell.server.state.finished_queue import FinishedQueue
from hypershell.server.state.registry import Client, ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.client_plane import CONTROL
from hypershell.wire.client_plane import VERBS as CONTROL_VERBS
from hypershell.wire.plane import Plane
from hypershell.wire.worker_messages import Phase
from hypershell.wire.worker_plane import FARM
from hypershell.wire.worker_plane import VERBS as FARM_VERBS

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)

_TELL_SECONDS = 1.0
"""How long the end of a run waits for clients that have not heard of it."""


class Server:
    """Schedules the tasks of one input and collects their outcomes.

    `run` returns when all of them are final, or when it was told to stop: by `interrupt`, or by
    a peer on the client plane. Without a `reader` it runs what is submitted until it is told to
    stop. `planes` are sockets that listen, and the secret of each plane; `facts` is what `info`
    tells of the server itself.
    """

    def __init__(
        self,
        options: ServerOptions,
        reader: LineReader | None,
        sink: LineSink,
        planes: dict[str, tuple[socket, bytes]],
        facts: dict[str, Any] | None = None,
        run_session: "RunSession | None" = None,
    ) -> None:
        self._options = options
        self._run_session = run_session
        self._reader = reader
        self._inbox: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._input_ended = threading.Event()
        if reader is None and not options.endless:
            self._input_ended.set()
        self._input_error: StartError | None = None
        self._room = threading.Condition()
        self._stopped, self._signal = False, 0
        self._intake: Intake | None = None
        self._unfinished_numbers: tuple[int, ...] = ()
        self._unwritten = 0
        lock = threading.RLock()
        self._store = self._make_store()
        self._completion = CompletionWaiters()
        self._finished = FinishedQueue()
        lease = options.lease if run_session is None else run_session.begun.lease_seconds
        orphans = self._orphans = Orphans(self._store, self._finished, lease, run_session)
        self._reports = Reports(sink, open_joblog(options.joblog), self._store)
        self._registry = ClientRegistry(
            lock, options.lease, options.grace, orphans.adopt, self._joined, orphans.left
        )
        self._scheduled = ScheduledQueue(lock, options.bundlesize, self._ran_low)
        orphans.cancel = self._scheduled.cancel
        self._scheduler = Scheduler(self._store, self._scheduled, options.bundlesize)
        service = WorkerService(self._registry, self._scheduled, self._finished)
        self._objects: dict[str, dict[str, tuple[object, frozenset[str]]]] = {
            WORKER: {FARM: (service, FARM_VERBS)},
            CLIENT: {CONTROL: (self._make_control(facts or {}), CONTROL_VERBS)},
        }
        self._plane_servers = {
            plane: Plane(sock, plane, secret, self._objects[plane]).get_server()
            for plane, (sock, secret) in planes.items()
        }
        self._loops = self._make_loops()

    def run(
        self,
        started: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> Ended:
        """Serve until all is done.

        `started` is called once clients can join; `ended` when all is over but those who wait for
        the end have not been told.
        """
        options, begin = self._options, time.monotonic()
        raise_descriptor_limit()
        self._reports.begin(self._run_session, self._reader is None or options.resumes)
        for loop in self._loops.values():
            loop.start()
        for plane_server in self._plane_servers.values():
            plane_server.start()
        try:
            started()
            self._scheduler.poke()
            self._settled()  # there may be nothing to do
            number, failure = self._wait_for_end()
            failure = self._end() or failure
        finally:
            ended()
            for plane_server in self._plane_servers.values():
                plane_server.stop(patience_seconds=_TELL_SECONDS)
        return Ended(
            counts=self._store.counts(),
            seconds=time.monotonic() - begin,
            signal=number,
            stopped=self._stopped,
            error=self._input_error,
            failure=failure,
            unfinished_numbers=self._unfinished_numbers,
            failed_numbers=self._reports.failures.unkept_numbers(),
            unread_from=self._unread_from(),
            unwritten=self._unwritten,
        )

    def _unread_from(self) -> int:
        """The number of the first line that was not read; 0 if all were."""
        reader = self._reader
        return 0 if reader is None or reader.ended else reader.lines_read + 1

    def interrupt(self, number: int) -> None:
        """A signal came: SIGINT once finishes what runs; twice, or any other, stops it.

        May be called from any thread.
        """
        self._inbox.put(("signal", number))

    def told_to_end(self) -> bool:
        """Whether a signal or a peer ended the run."""
        return self._stopped or self._signal != 0

    def give_up(self, error: Exception) -> None:
        """The run cannot go on; stop what runs and end."""
        self._inbox.put(("failure", error))

    def _make_store(self) -> TaskStore:
        policy = self._options.policy
        if self._run_session is None:
            store = TaskStore(policy)
        else:
            store = TaskStore(policy, self._run_session.journal, self._run_session.begun.start)
        store.input_is_open(self._reader is not None)
        return store

    def _make_control(self, facts: dict[str, Any]) -> ClientService:
        return ClientService(
            self._store,
            self._registry,
            self._scheduled,
            facts,
            self._takes_more,
            self._scheduler.poke,
            lambda drain: self._inbox.put(("stop", drain)),
            self._settled,
            None if self._run_session is None else self._run_session.queries,
            self._completion,
        )

    def _make_intake(self, reader: LineReader) -> Intake:
        options = self._options
        return Intake(
            reader,
            Bundler[Task](options.bundlesize, options.bundlewait),
            self._store,
            self._wait_for_room,
            self._scheduler.poke,
            self._input_is_over,
            None if self._run_session is None else self._run_session.digest,
        )

    def _make_loops(self) -> dict[str, Loop]:
        receiver = Receiver(
            self._finished,
            self._store,
            self._registry,
            self._scheduler,
            self._scheduled,
            self._reports,
            self._settled,
        )
        passes: dict[str, tuple[Callable[[], bool], Callable[[], None]]] = {
            "scheduler": (self._scheduler.one_pass, self._scheduler.poke),
            "receiver": (receiver.one_pass, self._finished.close),
            "roster": (self._watch_clients, self._registry.wake),
        }
        passes |= {name: (each, lambda: None) for name, each in self._reports.passes().items()}
        if self._reader is not None:
            self._intake = self._make_intake(self._reader)
            passes["intake"] = (self._intake.one_pass, self._wake_intake)
        if self._run_session is not None:
            passes["orphans"] = (self._orphans.one_pass, self._orphans.wake)
            passes["database"] = (self._run_session.writer.one_pass, lambda: None)
        return {
            name: Loop(name, one_pass, self._loop_failed, wake)
            for name, (one_pass, wake) in passes.items()
        }

    # What the loops tell.

    def _loop_failed(self, name: str, error: Exception) -> None:
        if not isinstance(error, StartError):
            log.critical("the %s failed: %r", name, error, exc_info=error)
        self.give_up(error)

    def _joined(self, client: Client) -> None:
        """A client is new. What attempts say of it is durable before it has any."""
        self._reports.note_client(client)
        if self._run_session is not None:
            self._run_session.note_client(client.id, client.host, client.pid, client.slots)

    def _input_is_over(self, error: StartError | None) -> None:
        self._input_error = error
        if error:
            log.error("%s", error)
        self._input_ended.set()
        self._store.input_is_open(False)
        self._scheduler.poke()  # later groups may go now
        self._settled()

    def _settled(self) -> None:
        """Some outcomes were recorded, or the input is over: the run may be, too."""
        with self._room:
            self._room.notify_all()
        phase = self._scheduled.phase
        if phase is Phase.RUNNING:
            if self._input_ended.is_set() and not self._store.unfinished():
                self._inbox.put(("done", None))
        elif not self._registry.claimed():
            self._inbox.put(("done", None))

    def _ran_low(self) -> None:
        self._scheduler.poke()
        with self._room:
            self._room.notify_all()

    def _wait_for_room(self, timeout: float) -> bool:
        """Whether the store takes more lines, waiting so many seconds for it."""

        def there_is_room() -> bool:
            tasks, size = self._store.backlog()
            lines, line_bytes = self._reports.failures.pending()
            return tasks + lines < MAX_WAITING and size + line_bytes < MAX_WAITING_BYTES

        with self._room:
            return self._room.wait_for(there_is_room, timeout)

    def _takes_more(self, timeout: float) -> bool:
        """Whether there is room for a submission; ValueError when the run is ending.

        A database has room for all of them.
        """
        if self._scheduled.phase is not Phase.RUNNING:
            raise ValueError("the server is ending")
        return self._run_session is not None or self._wait_for_room(timeout)

    def _wake_intake(self) -> None:
        if self._reader is not None:
            self._reader.wake()
        with self._room:
            self._room.notify_all()

    def _watch_clients(self) -> bool:
        """One pass of the roster's loop: what silent clients hold goes to others."""
        for client in self._registry.wait_for_silent(timeout=10.0):
            self._give_up_client(client)
        return True

    def _give_up_client(self, client: Client) -> None:
        gone = self._registry.leave(client.id, Ending.LOST)
        if gone is None:
            return
        self._scheduled.wake_all()
        _, held = gone
        log.warning(
            "lost contact with client %s on %s for %g s; its %s %s rescheduled",
            client.id,
            client.host,
            self._options.lease,
            counted(len(held), "task"),
            "is" if len(held) == 1 else "are",
        )
        self._finished.put(client, held)

    # The end.

    def _wait_for_end(self) -> tuple[int, Exception | None]:
        """Wait until all is done or must be; the signal that ended the run, and what failed."""
        number, failure = 0, None
        deadline: float | None = None
        while True:
            try:
                remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
                what, value = self._inbox.get(timeout=remaining)
            except queue.Empty:
                log.warning("%s did not end in time", counted(self._registry.claimed(), "task"))
                return number, failure
            if what == "done":
                if self._scheduled.phase is Phase.RUNNING and not self._store.close_if_finished():
                    continue  # something was submitted at the last moment
                return number, failure
            again = number != 0 or self._stopped
            self._stopped = self._stopped or what == "stop"
            if isinstance(value, Exception):
                failure = value
            elif what == "signal" and isinstance(value, int):
                self._signal = number = value
            gently = value == signal.SIGINT if what == "signal" else value is True
            if gently and not again:
                self._drain(what)
            elif isinstance(failure, ClientsEnded):
                return number, failure  # there is nobody to wait for
            elif deadline is None:
                self._stop()
                deadline = time.monotonic() + self._options.grace + 2.0

    def _drain(self, what: str) -> None:
        how = "press Ctrl-C again to stop them" if what == "signal" else "no new tasks are started"
        if claimed := self._registry.claimed():
            log.warning("waiting for running tasks (clients have %d); %s", claimed, how)
        self._go_to(Phase.DRAINING)

    def _stop(self) -> None:
        if claimed := self._registry.claimed():
            log.warning("stopping running tasks (clients have %d)", claimed)
        self._go_to(Phase.STOPPING)

    def _go_to(self, phase: Phase) -> None:
        if "intake" in self._loops:
            self._loops["intake"].stop()
        self._scheduled.tell(phase)
        self._settled()

    def _end(self) -> StartError | None:
        """Close all; what kept the database from being written to the end."""
        try:
            self._close()
            self._unfinished_numbers = tuple(self._store.unfinished_numbers())
            self._unwritten = self._finish()
        except StartError as error:
            return error
        return None

    def _close(self) -> None:
        """End in an order in which nothing is lost and nobody is left waiting."""
        if self._run_session is not None:
            self._run_session.limit_patience(self._options.grace)
        # Clients learn that all is done, and so leave with 0, before the door closes.
        self._scheduled.tell(Phase.OVER)
        self._scheduled.wait_until_told(self._registry.clients(), _TELL_SECONDS)
        self._plane_servers[WORKER].stop(patience_seconds=_TELL_SECONDS)
        self._scheduler.close()
        self._store.take_back(self._scheduled.drain())
        for name, loop in self._loops.items():
            if name not in ("database", *self._reports.passes()):
                loop.stop()
        if self._intake is not None and self._loops["intake"].join(1.0):
            self._intake.flush()
        self._loops["receiver"].join()
        self._reports.close(self._loops, self._inbox)
        self._completion.close()

    def _finish(self) -> int:
        """After the last line: how many could not be written. Nothing is recorded from here on."""
        unwritten = self._reports.finish()
        if self._run_session is not None:
            self._run_session.end()
            self._loops["database"].join()
            self._run_session.close()
        return unwritten
