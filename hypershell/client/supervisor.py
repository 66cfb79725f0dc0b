"""The small process above a client: it outlives the client, and ends the processes that are left.

The invariant: when a supervisor has ended, nothing of its client runs any more, and the server
knows or will know by the lease. The client is its child and tells it through a pipe when the server
last heard it (`supervision`). When the client is gone, however it went, or was silent for its
lease, the supervisor kills all processes below itself, orphans included, and tells the server
`leave` in the client's name, unless the client said that it had left. When the supervisor is gone,
the kernel sends the client SIGTERM.

One thread and no lock: it sleeps in `poll` on the client's pipe and on the pipe into which the
kernel's signals are written, SIGCHLD among them. The order that matters: it is a subreaper, and has
taken care of its own parent's death, before it forks; it forks while this is its only thread; the
client's last words are read after it was reaped, so that `left` is not missed; and `leave` is said
only when nothing runs any more, since the server may then start the tasks elsewhere.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable

from hypershell.client.supervision import Supervision
from hypershell.core.environment import CONTROL, PARENT
from hypershell.core.units import signal_name
from hypershell.runtime import clock
from hypershell.runtime.procfs import descendants

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

_PIPE_BYTES = 1024 * 1024  # pipe-max-size, pipe(7)

_STOP_SECONDS = 3.0
"""Seconds that a client may take to have its tasks stand still and to stop."""

_GRACE_SECONDS = 0.5
"""Seconds between TERM and KILL for processes that a client left running."""


class Supervisor:
    """Runs a client in a child process and cleans up after it."""

    def __init__(
        self,
        client: Callable[[int, int | None], int],
        leave: Callable[[str, str], None],
    ) -> None:
        self._client = client
        self._leave = leave
        self._control = _control_descriptor()
        self._pid = 0
        self._supervision = Supervision()
        self._stop_by: float | None = None  # when to stop, monotonic: the client has that long

    def run(self) -> int:
        """Run the client; its exit status, 128+n when signal n killed it."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        read_end, write_end = os.pipe()
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        supervisor = os.getpid()
        if (parent := os.environ.pop(PARENT, "")).isdigit():
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != int(parent):
                return 128 + signal.SIGTERM
        self._pid = os.fork()  # nothing else runs in this process yet
        if self._pid == 0:
            for descriptor in (read_end, wake_read, wake_write):
                os.close(descriptor)
            return self._be_client(supervisor, write_end)
        os.close(write_end)
        if self._control is not None:
            os.close(self._control)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        self._hand_over_stops()
        status = self._watch(read_end, wake_read)
        self._end_descendants()
        if self._supervision.owes_leave():
            self._leave(self._supervision.client_id, _story(status))
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + status % 128

    def _be_client(self, supervisor: int, write_end: int) -> int:
        # A group of its own: what a terminal sends comes once, through the supervisor.
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it may print all the same
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:
            return 128 + signal.SIGTERM
        return self._client(write_end, self._control)

    def _watch(self, read_end: int, wake_read: int) -> int:
        """Pass on signals until the client has ended; its wait status."""
        supervision = self._supervision
        poller = select.poll()
        poller.register(read_end, select.POLLIN)
        poller.register(wake_read, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll(self._patience()):
                data = os.read(descriptor, _PIPE_BYTES)  # all of it: the lease counts from the last
                if descriptor == wake_read:
                    self._forward(data)
                elif data:
                    supervision.hear(data)
                else:
                    poller.unregister(read_end)
            if self._stop_by is not None and clock.monotonic() >= self._stop_by:
                self._stop_with_client()
                continue  # what the client said before it stopped is heard first
            if (status := self._reap()) is not None:
                self._hear_last_words(read_end)
                return status
            remaining = supervision.remaining(clock.boottime())
            if remaining is not None and remaining <= 0:
                # The client cannot have run for long: it would have stopped its tasks itself.
                _say("the client did not respond before its lease expired; killing its tasks")
                supervision.give_up()
                _kill_all(signal.SIGKILL)

    def _patience(self) -> float | None:
        """Milliseconds until the lease may be over, or the client should have stopped."""
        if self._stop_by is not None:
            return max(10.0, (self._stop_by - clock.monotonic()) * 1000)
        remaining = self._supervision.remaining(clock.boottime())
        return clock.poll_milliseconds(None if remaining is None else max(0.01, remaining))

    def _hear_last_words(self, read_end: int) -> None:
        while select.select([read_end], [], [], 0)[0] and (data := os.read(read_end, 4096)):
            self._supervision.hear(data)

    def _hand_over_stops(self) -> None:
        """Ctrl-Z stops the client with all that it runs, and then this process."""
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
            return
        if self._control is not None:
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # the launcher says when to pause
            return
        signal.signal(signal.SIGTSTP, lambda *_: None)
        signal.signal(signal.SIGCONT, lambda *_: None)

    def _obey_stop(self, numbers: bytes) -> None:
        """SIGTSTP or SIGCONT came, or both: the last of them counts."""
        for number in numbers:
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

    def _forward(self, numbers: bytes) -> None:
        self._obey_stop(numbers)
        asked = [number for number in numbers if number in _FORWARDED]
        now = clock.monotonic()
        for number in self._supervision.signals_to_forward(asked, signal.SIGINT, now):
            _signal(self._pid, number)

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

    def _end_descendants(self) -> None:
        """Kill all that runs below this process, and come back when it is gone."""
        if not descendants():
            return
        _kill_all(signal.SIGTERM)
        deadline = clock.monotonic() + _GRACE_SECONDS
        while descendants():
            self._reap()
            if clock.monotonic() > deadline:
                _kill_all(signal.SIGKILL)
            clock.sleep(0.01)
        self._reap()


def _control_descriptor() -> int | None:
    """The descriptor that a launcher passed on, for the client alone."""
    number = os.environ.pop(CONTROL, "")
    if not number.isdigit():
        return None
    os.set_inheritable(int(number), False)
    return int(number)


def _kill_all(number: int) -> None:
    for pid in descendants():
        _signal(pid, number)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


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
