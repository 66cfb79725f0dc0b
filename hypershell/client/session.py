"""What a client is to its server: who it is there, how far the run is, and what an answer changes.

Called by the fetcher and the returner, each with its own answers, and by whichever of them joined
again; the main thread reads it, and says when the client is about to go, or is cut off. The lock
"client session" guards how far the run is and whether the client goes; inside it the lock of the
buffer is taken, so that a server that comes back cannot undo the draining of a client that goes.
Within one run the phase only ever grows, and each step is reported once.

A client that is cut off runs nothing, keeps the outcomes that it has, and runs tasks again when it
has joined again: the order to stop is given before any order to resume, as both are given under the
lock. If the server knows it no longer, what it earned under its former id is handed in under that
id and its secret (`earned`), before it asks for anything.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from hypershell.client.batch import batch_size
from hypershell.client.events import ClientEvent, PhaseChanged
from hypershell.client.running_tasks import RunningTasks
from hypershell.client.server_link import ServerLink
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.core.lease import margin_seconds
from hypershell.core.outcome import Outcome
from hypershell.core.units import counted
from hypershell.runtime import clock, threads
from hypershell.wire.worker_messages import FIRST_SESSION, Answer, Hello, Phase, Welcome
from hypershell.wire.worker_plane import Earned

log = logging.getLogger(__name__)


class Session:
    """The client as its server knows it. It is the `Peer` of the link.

    `rename` gives tasks another client id; `tell` gives the main thread an event.
    """

    def __init__(
        self,
        hello: Hello,
        welcome: Welcome,
        link: ServerLink,
        buffer: TaskBuffer,
        tasks: RunningTasks,
        supervisor_pipe: SupervisorPipe,
        rename: Callable[[str], None],
        tell: Callable[[ClientEvent], None],
    ) -> None:
        self._hello = hello
        self._link = link
        self._buffer = buffer
        self._tasks = tasks
        self._supervisor_pipe = supervisor_pipe
        self._rename = rename
        self._tell = tell
        self._lock = threads.lock("client session")
        self._phase = Phase.RUNNING
        self._leaving = False
        self._cut_off = False
        self._earned: list[Earned] = []
        self.welcome = welcome

    @property
    def phase(self) -> Phase:
        """How far the run is, as the server last said."""
        return self._phase

    def greet(self) -> Hello:
        """Who we are, and what we hold."""
        return replace(self._hello, client_id=self.welcome.client_id, held=self._buffer.held())

    def handle(self, answer: Answer) -> None:
        """What the server said, in whichever call."""
        self.lease_renewed()
        if answer.claims:
            self._buffer.put_claims(answer.claims)
        if answer.slots:
            self._tasks.set_slots(answer.slots)
            self._buffer.set_slots(answer.slots)
        if answer.cancelled:
            self._tasks.end(self._buffer.cancel(answer.cancelled))
        self._supervisor_pipe.heard(self._link.heard_at, self.welcome.lease_seconds)
        if answer.phase > self._phase:
            self._move_on(answer.phase)

    def lease_renewed(self) -> None:
        """The lease lasts longer than before: tasks may be started until it is over."""
        self._buffer.may_start_until(self.lease_end())

    def server_hung_up(self) -> None:
        """It may have ended by the signal by which tasks of ours did."""
        self._buffer.tell_to_end()

    def returned(self, welcome: Welcome, still_known: bool) -> None:
        """The connection is back; the tasks we hold are ours only if the server knows us."""
        if still_known:
            log.info("reconnected to the server")
            self._keep(self._buffer.outcomes_of(welcome.drop))
            self._tasks.end(self._buffer.drop(welcome.drop))
            if welcome.session == FIRST_SESSION:
                # How far the last run was says nothing about this one.
                log.info("the server was restarted; the tasks running here continue")
                self._begin_run(self._buffer.go_on)
        else:
            self._start_over(welcome)
        self.welcome = welcome
        if still_known:  # tasks may be running, under the lease that this begins
            self._supervisor_pipe.joined(welcome, self._link.heard_at)

    def ready(self) -> None:
        """What was earned before is handed in: tasks may run, under the lease that we have now."""
        self.lease_renewed()
        self._end_cut()
        self._supervisor_pipe.joined(self.welcome, self._link.heard_at)

    def leave(self) -> None:
        """Take no more tasks, even from a restarted server: this client is leaving."""
        with self._lock:
            self._leaving = True
            self._buffer.drain()

    def cut_off(self) -> bool:
        """The lease is over: stop all that runs, start nothing more, and wait until nothing runs.

        False if the server was heard meanwhile.
        """
        welcome, heard_at = self.welcome, self._link.heard_at
        with self._lock:
            if clock.boottime() < self.lease_end():
                return False
            self._cut_off = True
            self._buffer.drain()
            grace = self.grace_left(welcome)
            self._tasks.stop(self._tasks.allowed_grace(grace))
        if self._buffer.wait_until_stopped(grace + 1.0):
            self._tasks.end_strays()
            self._supervisor_pipe.stopped(heard_at)
        return True

    def grace_left(self, welcome: Welcome) -> float:
        """How long tasks may have between TERM and KILL: not beyond the lease, after which others
        may run them. This process, or the whole machine, may have stood still.
        """
        left = self.lease_end() + welcome.grace_seconds - clock.boottime()
        return max(0.0, min(welcome.grace_seconds, left))

    @property
    def is_cut_off(self) -> bool:
        """Whether nothing runs here until the server is back."""
        return self._cut_off

    def earned(self) -> Earned | None:
        """The next outcomes to be handed in that were earned under a former id, if any are left."""
        if not self._earned:
            return None
        first = self._earned[0]
        return first._replace(outcomes=first.outcomes[: batch_size(list(first.outcomes))])

    def handed_in(self, earned: Earned, taken: int) -> None:
        """The server took `taken` of these, and wants none of the others."""
        number = len(earned.outcomes)
        log.info("the server took %d of %s that were kept here", taken, counted(number, "result"))
        rest = self._earned[0].outcomes[number:]
        self._earned[:1] = [self._earned[0]._replace(outcomes=rest)] if rest else []

    def _keep(self, outcomes: list[Outcome]) -> None:
        """Hand these in under the id and the secret that were ours until now."""
        if outcomes:
            self._earned.append(Earned(self.welcome.client_id, self.welcome.secret, outcomes))

    def call_seconds(self) -> float:
        """How long a call may be parked."""
        return self.welcome.call_seconds

    def lease_end(self) -> float:
        """When tasks must be stopped, so that they are gone before another client has them.

        In the time of `clock.boottime`, as the server last heard us.
        """
        lease = self.welcome.lease_seconds
        margin = margin_seconds(lease)
        return self._link.heard_at + lease - self.welcome.grace_seconds - margin

    def _move_on(self, phase: Phase) -> None:
        # Two answers may come at once: the earlier phase of them must not undo the later.
        with self._lock:
            if phase <= self._phase:
                return
            self._phase = phase
        self._tell(PhaseChanged(phase))

    def _start_over(self, welcome: Welcome) -> None:
        """The server does not know us: none of the tasks here are ours any more."""
        level, rest = logging.INFO, ""
        if self._buffer.is_running():
            level, rest = logging.WARNING, "; the tasks running here are stopped"
        log.log(level, "joined again as client %s%s", welcome.client_id, rest)
        self._tasks.kill_and_wait()
        if not self._buffer.is_running():
            self._supervisor_pipe.stopped(self._link.heard_at)
        self._rename(welcome.client_id)
        self._begin_run(lambda draining: self._keep(self._buffer.start_over(draining)))

    def _begin_run(self, prepare: Callable[[bool], None]) -> None:
        """The server began a run that we know nothing of; the buffer is prepared for it."""
        with self._lock:
            prepare(self._leaving)
            self._phase = Phase.RUNNING
            self._cut_off = False
            if not self._leaving:
                self._tasks.resume()

    def _end_cut(self) -> None:
        """The server kept our place: go on in its run."""
        with self._lock:
            if not self._cut_off:
                return
            self._cut_off = False
            self._buffer.go_on(self._leaving or self._phase is not Phase.RUNNING)
            if not self._leaving and self._phase < Phase.STOPPING:
                self._tasks.resume()
