"""One client that has joined: its main thread, which decides when to go and with which status.

Four threads. The *executor* takes claims from the buffer and leaves outcomes there; the *fetcher*
is parked at the server; the *returner* gives outcomes; each of the last two hands what the server
answered to the session. This, the main thread, waits for their events (`events`) and for the
end of the lease. It never holds a lock: it acts on the others through
their thread-safe methods (`RunningTasks`, `Session.leave`, `ServerLink.leave`).

The invariant: no task runs here after the lease may be over, as the server may give it to another
client then. So the lease is looked at whenever nothing else comes, tasks are stopped a grace and a
margin before its end, and they are gone before the server hears about it. The client itself stays,
with the outcomes that it has, and looks for the server for as long as the user said (`--wait`).

The order at the end: first nothing new is started (`leave` drains the buffer), then what runs ends
or is stopped, then its outcomes are accepted, then processes that tasks left running are killed,
then the server hears `leave`, then the supervisor hears `left`. A supervisor that does not hear it
sends `leave` itself, so `left` is sent only when nothing else remains to be sent.
"""

import logging
import math
import signal
from typing import NoReturn

from hypershell.client.events import (
    BufferDrained,
    ClientEvent,
    LoopFailed,
    PauseAsked,
    PauseOver,
    PhaseChanged,
    SignalCame,
    TasksUsedUp,
)
from hypershell.client.joining import WasThere, never_there
from hypershell.client.launcher_channel import LauncherChannel
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.server_link import ServerLink
from hypershell.client.session import Session
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.core.errors import ConnectionLost, TasksUnstartable
from hypershell.core.units import counted
from hypershell.runtime import clock
from hypershell.runtime.signals import stop_this_process
from hypershell.runtime.threads import Inbox
from hypershell.wire.worker_messages import Phase

log = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 1.0
"""How long a client that goes, and runs nothing more, tries to give its last outcomes."""

_LAST_ANSWER_SECONDS = 0.3
"""How long a client whose server has no more tasks waits to hear that it has all outcomes."""

_PAUSE_SECONDS = 2.0
"""How long tasks may take to stand still."""

_LOOK_SECONDS = 1.0
"""How often a client that has lost its server looks whether that has ended."""

_MAX_PATIENCE_SECONDS = 3600.0


class Client:
    """Waits until there is a reason to go, and goes. Its threads are others' to start and end."""

    def __init__(
        self,
        inbox: Inbox[ClientEvent],
        session: Session,
        link: ServerLink,
        buffer: TaskBuffer,
        tasks: RunningTasks,
        supervisor_pipe: SupervisorPipe,
        idle_timeout: float | None,
        launcher: LauncherChannel | None = None,
        wait_seconds: float = 60.0,
        was_there: WasThere = never_there,
        works_until: float = math.inf,
    ) -> None:
        self._inbox = inbox
        self._session = session
        self._link = link
        self._buffer = buffer
        self._tasks = tasks
        self._supervisor_pipe = supervisor_pipe
        self._idle_timeout = idle_timeout
        self._wait_seconds = wait_seconds
        self._was_there = was_there
        self._works_until = works_until
        self._launcher = launcher or LauncherChannel(None)
        self._paused = False
        self._signal = 0
        self._leaving: str | None = None  # the reason
        self._leave_by = math.inf
        self._unstartable: TasksUnstartable | None = None

    def wait_for_end(self) -> int:
        """Deal with what happens until there is a reason to go; the exit status.

        Raises HyperShellError, or what a loop failed by.
        """
        while True:
            match self._inbox.get(timeout=self._patience()):
                case None:
                    if self._has_server_ended():
                        log.info("the server has ended: it has no more tasks")
                        self._supervisor_pipe.left(known=True)
                        return self._status()
                    self._look_at_lease()
                    if clock.monotonic() >= self._leave_by:
                        return self._take_leave(dead=True)
                    if self._is_idle_too_long():
                        self._leave_because("it was idle")
                    if self._is_time_over():
                        self._leave_in_time()
                case LoopFailed(error=TasksUnstartable() as error):
                    self._unstartable = error
                    self._leave_because(str(error))
                case LoopFailed(error=error):
                    self._stop_all()
                    raise error
                case SignalCame(number):
                    self._obey_signal(number)
                case TasksUsedUp():
                    self._leave_because("it has started as many tasks as --max-tasks says")
                case PauseAsked(by_launcher):
                    self._pause(by_launcher=by_launcher)
                case PauseOver(heard_at):
                    self._go_on(heard_at or 0.0)
                case PhaseChanged(phase) if phase is self._session.phase:
                    if phase is Phase.OVER:
                        log.info("the server has no more tasks")
                        # The answer that says so may be on its way, in the other connection.
                        known = self._buffer.wait_until_accepted(_LAST_ANSWER_SECONDS)
                        self._supervisor_pipe.left(known=known)
                        return self._status()
                    self._obey_phase(phase)
                case BufferDrained(all_accepted) if self._leaving is not None:
                    if all_accepted:
                        return self._take_leave(dead=False)
                    last_words_by = clock.monotonic() + _LAST_WORDS_SECONDS
                    self._leave_by = min(self._leave_by, last_words_by)

    def _patience(self) -> float:
        """Seconds until the lease, the leave or the idle timeout may be due."""
        patience = self._leave_by - clock.monotonic()
        if self._paused:
            return max(0.01, min(patience, _MAX_PATIENCE_SECONDS))
        if not self._link.is_up:
            patience = min(patience, _LOOK_SECONDS)
        due = self._session.lease_end()
        if self._session.is_cut_off:
            due += self._wait_seconds
        patience = min(patience, due - clock.boottime())
        if self._leaving is None:
            patience = min(patience, self._works_until - clock.boottime())
        if self._idle_timeout is not None and self._leaving is None:
            patience = min(patience, self._idle_timeout - self._buffer.idle_seconds())
        return max(0.01, patience)

    def _has_server_ended(self) -> bool:
        """Whether the server ended before this client, which has nothing for it, heard of that."""
        if self._paused or self._link.is_up or self._buffer.held():
            return False
        return self._session.earned() is None and self._was_there(True)

    def _is_lease_over(self) -> bool:
        return not self._paused and clock.boottime() >= self._session.lease_end()

    def _is_idle_too_long(self) -> bool:
        limit = None if self._paused else self._idle_timeout
        idle = limit is not None and self._buffer.idle_seconds() >= limit
        return idle and self._leaving is None and not self._session.is_cut_off

    def _is_time_over(self) -> bool:
        """Whether what runs must end now, so that this client is gone when its job ends."""
        is_over = not self._paused and clock.boottime() >= self._works_until
        return is_over and self._leaving is None

    def _leave_in_time(self) -> None:
        """Stop the running tasks, which run again elsewhere, and leave in order."""
        if running := self._buffer.number_running():
            log.warning("the wall time is nearly over: stopping %s", counted(running, "task"))
        self._buffer.tell_to_end()
        grace_seconds = self._tasks.allowed_grace(self._session.welcome.grace_seconds)
        self._tasks.stop(grace_seconds)
        self._leave_by = clock.monotonic() + grace_seconds + 2 * _LAST_WORDS_SECONDS
        self._leave_because("its wall time is nearly over")

    def _look_at_lease(self) -> None:
        """When the lease is over, stop every task; when the wait for the server is, give up."""
        if not self._is_lease_over():
            return
        overdue = clock.boottime() - self._session.lease_end()
        if not self._session.is_cut_off:
            lease = f"the lease of {self._session.welcome.lease_seconds:g} s"
            self._link.doubt(f"it did not answer within {lease}")
            if self._session.cut_off():
                number = self._buffer.number_earned()
                log.warning(
                    "the server did not answer within %s; the tasks running here were stopped; "
                    "looking for it for %g s%s",
                    lease,
                    self._wait_seconds,
                    f", to hand in {counted(number, 'result')}" if number else "",
                )
        elif overdue >= self._wait_seconds:
            self._lose_connection()

    def _lose_connection(self) -> NoReturn:
        """The server did not come back: raise ConnectionLost."""
        self._stop_all()
        self._supervisor_pipe.left(known=False)  # nobody hears it, and our tasks are gone
        lease, number = self._session.welcome.lease_seconds, self._buffer.number_earned()
        after = f"nor in {self._wait_seconds:g} s after it"
        reason = f"it did not answer within the lease of {lease:g} s, {after}"
        reason += f" ({self._link.trouble})" if self._link.trouble else ""
        lost = f"; {counted(number, 'result')} could not be handed in" if number else ""
        raise ConnectionLost(host=self._link.host, port=self._link.port, reason=reason + lost)

    def _pause(self, *, by_launcher: bool) -> None:
        """Have all tasks stand still; at a Ctrl-Z of this client alone, this process as well."""
        if by_launcher:
            self._link.pause()
        if not self._tasks.pause(_PAUSE_SECONDS):
            # The lease goes on as they do, and the supervisor stops all that does not stop itself.
            self._tasks.go_on()
            self._link.go_on()
            return
        self._paused = True
        self._supervisor_pipe.paused()
        if by_launcher:
            self._launcher.paused(self._session.welcome.client_id)
        else:
            stop_this_process()
            self._go_on(0.0)

    def _go_on(self, heard_at: float) -> None:
        """The tasks run on, unless others may have them by now: the lease is counted from then."""
        if not self._paused:
            return
        self._paused = False
        self._link.go_on(heard_at)
        self._look_at_lease()  # if it is over they are killed as they stand
        self._session.lease_renewed()
        self._supervisor_pipe.resumed(self._link.heard_at)
        self._tasks.go_on()

    def _obey_phase(self, phase: Phase) -> None:
        """The run ends early, and the server waits for our outcomes."""
        self._buffer.tell_to_end()
        self._buffer.drain()
        if phase is Phase.STOPPING:
            self._tasks.stop(self._session.welcome.grace_seconds)

    def _obey_signal(self, number: int) -> None:
        """A first SIGINT lets running tasks finish; a second one, or another signal, stops them."""
        again = self._signal != 0
        self._signal = number
        self._buffer.tell_to_end()
        if number == signal.SIGINT and not again:
            log.warning("interrupted: waiting for running tasks; press Ctrl-C again to stop them")
        else:
            log.warning("stopping running tasks")
            grace_seconds = self._tasks.allowed_grace(self._session.welcome.grace_seconds)
            self._tasks.stop(grace_seconds)
            self._go_on(clock.boottime())  # none of them runs on
            leave_by = clock.monotonic() + grace_seconds + 2 * _LAST_WORDS_SECONDS
            self._leave_by = min(self._leave_by, leave_by)  # a further signal gives no more time
        self._leave_because(f"it received {signal.Signals(number).name}")

    def _leave_because(self, reason: str) -> None:
        """Leave as soon as all is finished and given."""
        if self._leaving is None:
            log.info("leaving: %s", reason)
        self._leaving = reason
        self._session.leave()

    def _take_leave(self, *, dead: bool) -> int:
        self._tasks.end_strays()
        if dead and (number := self._buffer.number_earned()):
            log.warning("%s could not be handed in", counted(number, "result"))
        known = self._link.leave(self._leaving or "", dead, *self._buffer.begun())
        self._supervisor_pipe.left(known=known)
        if self._unstartable is not None:
            raise self._unstartable
        return self._status()

    def _status(self) -> int:
        return 128 + self._signal if self._signal else 0

    def _stop_all(self) -> None:
        """We are broken, or have been cut off for good: nothing may go on running here."""
        self._buffer.drain()
        self._tasks.stop_and_wait(self._session.grace_left(self._session.welcome))
