"""One client, from joining its server to the exit status."""

import logging
import math
import os
import queue
import random
import signal
import socket
import time
from dataclasses import dataclass, replace

from hypershell.client.fetcher import Fetcher
from hypershell.client.returner import Returner
from hypershell.client.server_link import (
    BROKEN,
    Find,
    ServerLink,
    boottime,
    call_seconds_of,
    greeting,
    may_wait,
)
from hypershell.client.supervisor_pipe import SupervisorPipe
from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.executor import Executor
from hypershell.client.tasks.output import Output
from hypershell.client.tasks.spawn import DEFAULT_SHELL, Spawner, check_shell, kill_strays
from hypershell.client.tasks.watch import best_watch
from hypershell.core.errors import (
    ConnectionLost,
    FileUnwritable,
    HyperShellError,
    ServerSilent,
    TasksUnstartable,
    TooManySlots,
)
from hypershell.core.lease import margin_seconds
from hypershell.core.units import counted
from hypershell.runtime.limits import raise_descriptor_limit
from hypershell.runtime.loop import Loop
from hypershell.wire.worker_messages import FIRST_SESSION, Answer, Hello, Phase, Welcome

log = logging.getLogger(__name__)

_SILENCE_SECONDS = 10.0
"""How long a client that has not joined waits for what listens and says nothing."""

_DESCRIPTORS_A_SLOT = 5  # two pipes, and what watches the task
_OWN_DESCRIPTORS = 50  # far more than a client has open beside them

_LAST_WORDS_SECONDS = 1.0
"""How long a client that goes, and runs nothing more, tries to give its last outcomes."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What a client is to do. Times are in seconds."""

    find: Find
    slots: int = 1
    wait: float = 60.0
    shell: str = DEFAULT_SHELL
    idle_timeout: float | None = None
    delay_start: float = 0.0
    out_path: str | None = None
    err_path: str | None = None


class Client:
    """Runs the tasks of one server until it is told to go."""

    def __init__(self, options: ClientOptions, supervisor_pipe: SupervisorPipe) -> None:
        self._options = options
        self._supervisor_pipe = supervisor_pipe
        self._host = socket.gethostname()
        self._inbox: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._watch = best_watch()
        self._buffer = TaskBuffer(options.slots, self._watch.wake, self._drained)
        self._link = ServerLink(options.find, self._greet)
        self._link.returned = self._returned
        self._spawner: Spawner
        self._welcome: Welcome | None = None
        self._phase = Phase.RUNNING
        self._signal = 0
        self._going: str | None = None
        self._gone_by = math.inf
        self._failure: TasksUnstartable | None = None
        self._executor: Executor | None = None

    def run(self) -> int:
        """Join, run tasks until the end, leave; the exit status. Raises HyperShellError."""
        options = self._options
        check_shell(options.shell)
        out, err = _open_output(options.out_path, 1, "-o"), _open_output(options.err_path, 2, "-e")
        if not raise_descriptor_limit(_DESCRIPTORS_A_SLOT * options.slots + _OWN_DESCRIPTORS):
            raise TooManySlots(slots=counted(options.slots, "slot"))
        if not self._join():
            return 128 + self._signal
        assert self._welcome is not None
        welcome = self._welcome
        spawner = Spawner(options.shell, welcome.client_id, self._host)
        output = Output(out, err, options.slots, lambda: executor.stopping())
        executor = Executor(options.slots, spawner, output, self._watch, welcome.grace_seconds)
        executor.attach(self._buffer)
        self._executor, self._spawner = executor, spawner
        fetch = Fetcher(self._link, self._handle, self._call_seconds)
        give = Returner(self._link, self._buffer, self._handle)
        loops = {
            "executor": Loop("executor", executor.one_pass, self._loop_failed, executor.wake),
            "fetcher": Loop("fetcher", fetch.one_pass, self._loop_failed),
            "returner": Loop("returner", give.one_pass, self._loop_failed, self._buffer.wake),
        }
        for loop in loops.values():
            loop.start()
        try:
            return self._wait_for_end()
        finally:
            self._close(loops, output)

    def interrupt(self, number: int) -> None:
        """A signal came: SIGINT once finishes what runs and leaves; twice, or any other, stops it.

        May be called from any thread.
        """
        self._inbox.put(("signal", number))

    @property
    def needs_sigchld(self) -> bool:
        """Whether `child_ended` is to be called at each SIGCHLD: on systems without pidfds."""
        return self._watch.needs_sigchld

    def child_ended(self) -> None:
        """SIGCHLD came."""
        self._watch.wake()

    def _greet(self) -> Hello:
        hello = greeting(self._host, self._options.slots)
        if self._welcome is None:
            return hello
        return replace(hello, client_id=self._welcome.client_id, held=self._buffer.held())

    def _join(self) -> bool:
        """Join the server, waiting for it as long as we may; False if a signal came first."""
        delay = self._options.delay_start
        if self._pause(delay if delay >= 0 else random.uniform(0, -delay)):
            return False
        begin = time.monotonic()
        deadline = begin + self._options.wait
        pause = 0.02
        said = False
        while True:
            try:
                self._welcome = self._link.join()
                self._supervisor_pipe.joined(self._welcome, self._link.heard_at)
                log.info("joined the server as client %s", self._welcome.client_id)
                return True
            except BROKEN as error:
                if isinstance(error, ServerSilent):
                    # It may be starting, or be no server of ours: not worth all the patience.
                    deadline = min(deadline, begin + _SILENCE_SECONDS)
                if not may_wait(error) or time.monotonic() + pause > deadline:
                    raise
                if not said:
                    log.info("waiting for the server: %s", error)
                    said = True
            if self._pause(pause):
                return False
            # A server that is started at the same moment is there soon, one of tomorrow is not.
            pause = min(1.0, max(0.02, (time.monotonic() - begin) / 20))

    def _pause(self, seconds: float) -> bool:
        """Wait; whether a signal ended it."""
        try:
            what, value = self._inbox.get(timeout=seconds)
        except queue.Empty:
            return False
        if what == "signal" and isinstance(value, int):
            self._signal = value
        return self._signal != 0

    def _handle(self, answer: Answer) -> None:
        """What the server said, in whichever call."""
        assert self._welcome is not None
        assert self._executor is not None
        if answer.claims:
            self._buffer.put_claims(answer.claims)
        if answer.cancelled:
            self._end_running(self._buffer.cancel(answer.cancelled))
        self._supervisor_pipe.heard(self._link.heard_at, self._welcome.lease_seconds)
        if answer.phase > self._phase:
            self._phase = answer.phase
            self._inbox.put(("phase", answer.phase))

    def _returned(self, welcome: Welcome, still_known: bool) -> None:
        """The connection is there again; what we hold is ours only if the server knows us."""
        if still_known:
            log.info("reconnected to the server")
            self._end_running(self._buffer.drop(welcome.drop))
            if welcome.session == FIRST_SESSION:
                self._go_on()
        else:
            level, rest = logging.INFO, ""
            if self._buffer.held():
                level, rest = logging.WARNING, "; the tasks running here are stopped"
            log.log(level, "joined again as client %s%s", welcome.client_id, rest)
            self._stop_running()
            self._buffer.start_over(draining=self._going is not None)
            self._spawner.rename(welcome.client_id)
            self._phase = Phase.RUNNING
            if self._executor is not None and self._going is None:
                self._executor.resume()
        self._welcome = welcome
        self._supervisor_pipe.joined(welcome, self._link.heard_at)

    def _go_on(self) -> None:
        """The server was started again and knows us: how far the last run was says nothing."""
        assert self._executor is not None
        log.info("the server was restarted; the tasks running here continue")
        self._phase = Phase.RUNNING
        self._buffer.go_on(draining=self._going is not None)
        if self._going is None:
            self._executor.resume()

    def _end_running(self, pairs: list[tuple[int, int]]) -> None:
        """These run here and are not to: somebody cancelled them, or they are not ours any more."""
        assert self._executor is not None
        if pairs:
            was = "was" if len(pairs) == 1 else "were"
            log.info(
                "stopping %s that %s cancelled or reassigned", counted(len(pairs), "task"), was
            )
            self._executor.cancel_tasks(pairs)

    def _loop_failed(self, name: str, error: Exception) -> None:
        if not isinstance(error, HyperShellError):
            log.critical("the %s failed: %r", name, error, exc_info=error)
        self._inbox.put((name, error))

    def _drained(self, all_given: bool) -> None:
        self._inbox.put(("drained", all_given))

    def _wait_for_end(self) -> int:
        """Deal with what happens until there is a reason to go; the exit status."""
        while True:
            try:
                what, value = self._inbox.get(timeout=self._patience())
            except queue.Empty:
                self._check_lease()
                if time.monotonic() >= self._gone_by:
                    return self._leave(dead=True)
                if self._is_idle_too_long():
                    self._go("it was idle")
                continue
            if isinstance(value, TasksUnstartable):
                self._failure = value
                self._go(str(value))
                continue
            if isinstance(value, Exception):
                self._stop_all()
                raise value
            if what == "signal" and isinstance(value, int):
                self._obey_signal(value)
            elif isinstance(value, Phase) and value is self._phase:
                if value is Phase.OVER:
                    log.info("the server has no more tasks")
                    self._supervisor_pipe.left()
                    return self._status()
                self._obey(value)
            elif what == "drained" and self._going is not None:
                if value:
                    return self._leave(dead=False)
                self._gone_by = min(self._gone_by, time.monotonic() + _LAST_WORDS_SECONDS)

    def _patience(self) -> float:
        """Seconds until the lease may be over, or something else is."""
        now = time.monotonic()
        patience = min(self._lease_end() - boottime(), self._gone_by - now)
        if self._options.idle_timeout is not None and self._going is None:
            patience = min(patience, self._options.idle_timeout - self._buffer.idle_seconds())
        return max(0.01, patience)

    def _call_seconds(self) -> float:
        assert self._welcome is not None
        return call_seconds_of(self._welcome)

    def _lease_end(self) -> float:
        """When tasks must be stopped, so that they are gone before another client has them."""
        welcome = self._welcome
        assert welcome is not None
        margin = margin_seconds(welcome.lease_seconds)
        return self._link.heard_at + welcome.lease_seconds - welcome.grace_seconds - margin

    def _check_lease(self) -> None:
        if boottime() < self._lease_end():
            return
        assert self._welcome is not None
        welcome = self._welcome
        self._stop_all()
        lease = f"{welcome.lease_seconds:g} s"
        if self._link.is_up():
            self._link.leave("its lease expired", dead=True)
        self._supervisor_pipe.left()  # else nobody hears our leave, and our tasks are gone
        raise ConnectionLost(
            host=self._link.host,
            port=self._link.port,
            reason=f"it was not heard from within the lease of {lease}",
        )

    def _is_idle_too_long(self) -> bool:
        limit = self._options.idle_timeout
        idle = limit is not None and self._buffer.idle_seconds() >= limit
        return idle and self._going is None

    def _obey(self, phase: Phase) -> None:
        """The run ends early, and the server waits for what we still have to say."""
        assert self._executor is not None
        self._buffer.drain()
        if phase is Phase.STOPPING:
            self._executor.stop_tasks()

    def _obey_signal(self, number: int) -> None:
        assert self._executor is not None
        assert self._welcome is not None
        again = self._signal != 0
        self._signal = number
        if number == signal.SIGINT and not again:
            log.warning("interrupted: waiting for running tasks; press Ctrl-C again to stop them")
        else:
            log.warning("stopping running tasks")
            self._executor.stop_tasks(self._grace())
            self._gone_by = time.monotonic() + self._grace() + 2 * _LAST_WORDS_SECONDS
        self._go(f"it received {signal.Signals(number).name}")

    def _go(self, reason: str) -> None:
        """Leave as soon as all is finished and given."""
        if self._going is None:
            log.info("leaving: %s", reason)
        self._going = reason
        self._buffer.drain()

    def _status(self) -> int:
        return 128 + self._signal if self._signal else 0

    def _leave(self, dead: bool) -> int:
        self._end_strays()
        self._link.leave(self._going or "", dead)
        self._supervisor_pipe.left()
        if self._failure is not None:
            raise self._failure
        return self._status()

    def _grace(self) -> float:
        """How long tasks have: less when the supervisor is dead and nothing else ends them."""
        assert self._welcome is not None
        grace = self._welcome.grace_seconds
        return min(grace, 1.0) if self._supervisor_pipe.unheard() else grace

    def _stop_all(self) -> None:
        """The server is out of reach, or we are broken: nothing may go on running here."""
        self._buffer.drain()
        self._stop_running()

    def _stop_running(self) -> None:
        """Stop what runs, and come back when it is gone."""
        assert self._executor is not None
        assert self._welcome is not None
        self._executor.stop_tasks(self._grace())
        self._buffer.wait_until_stopped(self._welcome.grace_seconds + 1.0)
        self._end_strays()

    def _end_strays(self) -> None:
        """Without a supervisor, kill what tasks left in the background; it would do that."""
        assert self._welcome is not None
        if self._supervisor_pipe.unheard():
            kill_strays(self._welcome.client_id)

    def _close(self, loops: dict[str, Loop], output: Output) -> None:
        for loop in loops.values():
            loop.stop()
        self._link.close()
        if loops["executor"].join(1.0):
            output.close()


def _open_output(path: str | None, default: int, option: str) -> int:
    """Where output goes: a file of its own, appended to, or what this process was given."""
    try:
        if path is not None:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        return os.dup(default)
    except OSError as error:
        if path is None:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)  # we were started without
        raise FileUnwritable(
            path=path, reason=(error.strerror or "").lower(), option=option
        ) from error
