"""The small process above a client: it outlives the client, and ends the processes that are left.

The invariant: when a supervisor has ended, nothing of its client runs any more, and the server
knows or will know by the lease. The client is its child and tells it through a pipe when the server
last heard it (`supervision`). When the client is gone, however it went, or was silent for its
lease, the supervisor kills all processes below itself, orphans included, and tells the server
`leave` in the client's name, unless the client said that it had left. When the supervisor is gone,
the kernel sends the client SIGTERM.

One thread and no lock: it sleeps in `poll` on the client's pipe and on its signals, SIGCHLD among
them, which are blocked and read (`SignalReader`). A signal to end goes on to the client, unless one
of its own tasks sent it (`senders`). Each wait here has a bound or is ended by a second signal: a
client that does not end when it must is killed; what does not die of KILL is left to the lease.

The order that matters: it is a subreaper, and has taken care of its own parent's death, before it
forks; it forks while this is its only thread; the client's last words are read after it was reaped,
so that `left` is not missed; `leave` is said only when nothing runs any more, since the server
may then start the tasks elsewhere; and the table of what had begun is removed last, when the server
knows what it says.
"""

import contextlib
import ctypes
import math
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import Protocol

from hypershell.client.begun_table import BegunTable
from hypershell.client.senders import Senders
from hypershell.client.supervision import Supervision
from hypershell.core.environment import CONTROL, PARENT
from hypershell.core.units import signal_name
from hypershell.runtime import clock
from hypershell.runtime.procfs import descendants
from hypershell.runtime.signals import ENDING, SignalReader, begin_with_defaults, not_ignored

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36

_FORWARDED = (*ENDING, signal.SIGUSR1, signal.SIGUSR2)

_PIPE_BYTES = 1024 * 1024  # pipe-max-size, pipe(7)

_STOP_SECONDS = 3.0
"""Seconds that a client may take to have its tasks stand still and to stop."""

_GRACE_SECONDS = 0.5
"""Seconds between TERM and KILL for processes that a client left running."""

_CLEANUP_SECONDS = 60.0
"""Seconds after which processes that do not die of KILL are left to the server's lease."""

_HURRIED_SECONDS = 2.0
"""The same once a signal asks the supervisor itself to end."""

_MAX_SWEEPS = 20


class Speaker(Protocol):
    """What is said to the server in the name of a client that has died."""

    def still_here(self, client_id: str, session: int, patience_seconds: float) -> None:
        """What it left is still being ended."""

    def leave(self, client_id: str, reason: str) -> bool:
        """Nothing of it runs any more; whether the server has heard it."""


class Supervisor:
    """Runs a client in a child process and cleans up after it."""

    def __init__(
        self,
        client: Callable[[int, int | None], int],
        speaker: Callable[[], Speaker],
        begun: BegunTable,
    ) -> None:
        self._client = client
        self._make_speaker = speaker
        self._speaker: Speaker | None = None
        self._begun = begun
        self._control = _control_descriptor()
        self._pid = 0
        self._supervision = Supervision()
        self._signals: SignalReader
        self._senders: Senders
        self._read_end = -1
        self._stop_by: float | None = None  # when to stop, monotonic: the client has that long

    def run(self) -> int:
        """Run the client; its exit status, 128+n when signal n killed it."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._read_end, write_end = os.pipe()
        supervisor, launcher = os.getpid(), os.getppid()
        if (parent := os.environ.pop(PARENT, "")).isdigit():
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if launcher != int(parent):
                self._begun.remove()
                return 128 + signal.SIGTERM
        self._pid = os.fork()  # nothing else runs in this process yet
        if self._pid == 0:
            os.close(self._read_end)
            return self._be_client(supervisor, write_end)
        os.close(write_end)
        if self._control is not None:
            os.close(self._control)
        self._signals = SignalReader({signal.SIGCHLD, *not_ignored(_FORWARDED), *self._stops()})
        self._senders = Senders(self._begun, supervisor, {launcher}, _say)
        status = self._watch()
        if self._end_descendants():
            is_known = self._supervision.is_accounted_for()
            if self._supervision.owes_leave():
                self._signals.read()
                begin_with_defaults()  # nothing runs any more: another signal ends this process
                is_known = self._speak().leave(self._supervision.client_id, _story(status))
            # Else the next server may learn from it that the client is gone.
            if is_known:
                self._begun.remove()
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + status % 128

    def _be_client(self, supervisor: int, write_end: int) -> int:
        # A group of its own: what a terminal sends comes once, through the supervisor.
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it may print all the same
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:
            return 128 + signal.SIGTERM
        return self._client(write_end, self._control)

    def _watch(self) -> int:
        """Pass on signals until the client has ended; its wait status."""
        supervision = self._supervision
        poller = select.poll()
        poller.register(self._read_end, select.POLLIN)
        poller.register(self._signals.fileno(), select.POLLIN)
        while True:
            for descriptor, _ in poller.poll(self._patience()):
                if descriptor == self._signals.fileno():
                    self._forward()
                # All of it: the lease counts from the last.
                elif data := os.read(descriptor, _PIPE_BYTES):
                    supervision.hear(data)
                else:
                    poller.unregister(descriptor)
            if self._stop_by is not None and clock.monotonic() >= self._stop_by:
                self._stop_with_client()
                continue  # what the client said before it stopped is heard first
            if (status := self._reap()) is not None:
                self._hear_last_words()
                return status
            self._kill_if_late()

    def _patience(self) -> float | None:
        """Milliseconds until the lease or the time to end or to stop may be over."""
        if self._stop_by is not None:
            return max(10.0, (self._stop_by - clock.monotonic()) * 1000)
        remaining = self._supervision.remaining(clock.boottime())
        until_end = self._supervision.end_remaining(clock.monotonic())
        seconds = until_end if remaining is None else min(remaining, until_end)
        return clock.poll_milliseconds(None if seconds == math.inf else max(0.01, seconds))

    def _kill_if_late(self) -> None:
        supervision = self._supervision
        remaining = supervision.remaining(clock.boottime())
        if remaining is not None and remaining <= 0:
            # The client cannot have run for long: it would have stopped its tasks itself.
            _say("the client did not respond before its lease expired; killing its tasks")
        elif supervision.end_remaining(clock.monotonic()) <= 0:
            _say("the client did not end in time; killing it and its tasks")
        else:
            return
        supervision.give_up()
        _kill_all(signal.SIGKILL)

    def _hear_last_words(self) -> None:
        descriptor = self._read_end
        while select.select([descriptor], [], [], 0)[0] and (data := os.read(descriptor, 4096)):
            self._supervision.hear(data)

    def _stops(self) -> set[int]:
        """The signals by which Ctrl-Z stops the client with all that it runs, and this process."""
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
            return set()
        if self._control is not None:
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # the launcher says when to pause
            return set()
        return {signal.SIGTSTP, signal.SIGCONT}

    def _obey_stop(self, number: int) -> None:
        """SIGTSTP or SIGCONT came; of both the kernel keeps the last."""
        if number == signal.SIGTSTP and self._stop_by is None:
            self._stop_by = clock.monotonic() + _STOP_SECONDS
            _signal(self._pid, signal.SIGTSTP)
        elif number == signal.SIGCONT:
            self._stop_by = None
            _signal(self._pid, signal.SIGCONT)

    def _stop_with_client(self) -> None:
        """The client has stopped, or should have: stop until continued, and then continue it.

        A client that had its tasks stand still knows whether they may run on. One that had not is
        stopped here with all that it runs, and does not run on when its lease is over.
        """
        self._stop_by = None
        if not self._supervision.is_paused:
            _kill_all(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        if self._supervision.is_paused:
            _signal(self._pid, signal.SIGCONT)
            return
        remaining = self._supervision.remaining(clock.boottime())
        _kill_all(signal.SIGCONT if remaining is None or remaining > 0 else signal.SIGKILL)

    def _orders(self) -> list[int]:
        """The signals that have come and are not of our own tasks, SIGCHLD aside."""
        return [
            sent.number
            for sent in self._signals.read()
            if sent.number != signal.SIGCHLD
            and (sent.number not in ENDING or self._senders.is_order(sent))
        ]

    def _forward(self) -> None:
        now = clock.monotonic()
        orders = self._orders()
        for number in orders:
            self._obey_stop(number)
        asked = [number for number in orders if number in _FORWARDED]
        for number in self._supervision.signals_to_forward(asked, now):
            _signal(self._pid, number)
            if number in ENDING:
                self._supervision.told_to_end(number, now)

    def _reap(self) -> int | None:
        """Reap what has ended, orphans included; the client's wait status if it is among them."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self._pid and not os.WIFSTOPPED(status):
                found = status
            elif pid == self._pid and self._stop_by is not None:
                self._stop_by = clock.monotonic()  # it has stopped, as it was asked to

    def _end_descendants(self) -> bool:
        """Kill all that runs below this process; whether it is gone when this returns.

        What runs as another user by now cannot be killed, and is not waited for.
        """
        if not descendants():
            return True
        foreign = _kill_all(signal.SIGTERM)
        now = clock.monotonic()
        kill_at, end_at = now + _GRACE_SECONDS, now + _CLEANUP_SECONDS
        stopped: set[int] = set()
        sweeps = 0
        while left := set(descendants()) - foreign:
            self._reap()
            now = clock.monotonic()
            if now > end_at:
                _say(f"{len(left)} processes of its tasks do not die of KILL")
                return False
            if any(number in ENDING for number in self._orders()):
                kill_at, end_at = now, min(end_at, now + _HURRIED_SECONDS)
            if self._supervision.beat_due(clock.boottime()):
                self._still_here()
            if now >= kill_at and (new := left - stopped) and sweeps < _MAX_SWEEPS:
                # They may start others faster than they could be killed: all are stopped first.
                for pid in new:
                    _signal(pid, signal.SIGSTOP)
                stopped |= new
                sweeps += 1
                continue
            if now >= kill_at:
                foreign = _kill_all(signal.SIGKILL)
                stopped, sweeps = set(), 0
            clock.sleep(0.01)
        self._reap()
        if foreign:
            _say(f"cannot end what runs as another user: process {min(foreign)}")
        return True

    def _still_here(self) -> None:
        supervision = self._supervision
        supervision.heard(clock.boottime())
        self._speak().still_here(supervision.client_id, supervision.session, _HURRIED_SECONDS)

    def _speak(self) -> Speaker:
        if self._speaker is None:
            self._speaker = self._make_speaker()
        return self._speaker


def _control_descriptor() -> int | None:
    """The descriptor that a launcher passed on, for the client alone."""
    number = os.environ.pop(CONTROL, "")
    if not number.isdigit():
        return None
    os.set_inheritable(int(number), False)
    return int(number)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _kill_all(number: int) -> set[int]:
    """Signal all that runs below this process; what it may not signal."""
    foreign: set[int] = set()
    for pid in descendants():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            foreign.add(pid)
    return foreign


def _story(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal_name(os.WTERMSIG(status))
    return f"exit status {os.WEXITSTATUS(status)}"


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"hyper-shell: {text}\n".encode())


def _prctl(option: int, argument: int) -> None:
    """Where there is no prctl, orphans are not found, and the rest still works."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
