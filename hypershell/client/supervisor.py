"""The small process above a client: it outlives the client, and ends whatever that leaves behind.

The client is its child and tells it through a pipe when the server last heard it. When the client
is gone, however it went, or was silent for its lease, the supervisor kills all processes below
itself, orphans included, and tells the server `leave` in the client's name. When the supervisor is
gone, the kernel sends the client SIGTERM.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
PARENT_VARIABLE = "HYPERSHELL_PARENT"
"""In the environment: the process whose death this one is not to survive."""

_GRACE_SECONDS = 0.5
"""Between TERM and KILL for what a client left behind."""

_SAME_SIGNAL_SECONDS = 0.1
"""Within which a second SIGINT is the first one, sent by the terminal and by a parent, say."""


class Supervisor:
    """Runs a client in a child process and cleans up after it."""

    def __init__(self, client: Callable[[int], int], leave: Callable[[str, str], None]) -> None:
        self._client = client
        self._leave = leave
        self._pid = 0
        self._client_id = ""
        self._left = False
        self._lease_seconds = 0.0
        self._heard_at = 0.0
        self._unread = b""
        self._last_sigint = 0.0

    def run(self) -> int:
        """Run the client; its exit status, 128+n when signal n killed it."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        read_end, write_end = os.pipe()
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        supervisor = os.getpid()
        if (parent := os.environ.pop(PARENT_VARIABLE, "")).isdigit():
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != int(parent):
                return 128 + signal.SIGTERM
        self._pid = os.fork()  # nothing else runs in this process yet
        if self._pid == 0:
            for descriptor in (read_end, wake_read, wake_write):
                os.close(descriptor)
            return self._be_client(supervisor, write_end)
        os.close(write_end)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a client that sleeps would lose its lease
        status = self._watch(read_end, wake_read)
        self._end_descendants()
        if self._client_id and not self._left:
            self._leave(self._client_id, _story(status))
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + status % 128

    def _be_client(self, supervisor: int, write_end: int) -> int:
        # A group of its own: what a terminal sends comes once, through the supervisor.
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it may print all the same
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:
            return 128 + signal.SIGTERM
        return self._client(write_end)

    def _watch(self, read_end: int, wake_read: int) -> int:
        """Pass on signals until the client has ended; its wait status."""
        poller = select.poll()
        poller.register(read_end, select.POLLIN)
        poller.register(wake_read, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll(self._patience()):
                if descriptor == read_end:
                    if not self._hear(os.read(read_end, 4096)):
                        poller.unregister(read_end)
                else:
                    self._forward(os.read(wake_read, 4096))
            if (status := self._reap()) is not None:
                while select.select([read_end], [], [], 0)[0] and self._hear(
                    os.read(read_end, 4096)
                ):
                    pass  # its last words
                return status
            if self._lease_seconds and not self._left and self._remaining() <= 0:
                # The client cannot have run for long: it would have stopped its tasks itself.
                _say("the client was silent for longer than its lease; its tasks are killed")
                self._lease_seconds = 0.0
                _kill_all(signal.SIGKILL)

    def _patience(self) -> float | None:
        """Milliseconds until the lease may be over."""
        if not self._lease_seconds or self._left:
            return None
        return max(10.0, self._remaining() * 1000)

    def _remaining(self) -> float:
        """Seconds until other clients may have the tasks, less half of the client's own margin."""
        margin = min(1.0, self._lease_seconds / 10) / 2
        return self._heard_at + self._lease_seconds - margin - _boottime()

    def _hear(self, data: bytes) -> bool:
        self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            match line.decode().split():
                case ["joined", client_id, lease, at]:
                    self._client_id = client_id
                    self._lease_seconds, self._heard_at = float(lease), float(at)
                case ["heard", at]:
                    self._heard_at = float(at)
                case ["left"]:
                    self._left = True
        return bool(data)

    def _forward(self, numbers: bytes) -> None:
        for number in numbers:
            if number not in _FORWARDED:
                continue
            if number == signal.SIGINT:
                now, before = time.monotonic(), self._last_sigint
                self._last_sigint = now
                if now - before < _SAME_SIGNAL_SECONDS:
                    continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _reap(self) -> int | None:
        """Reap what has ended, orphans included; the client's wait status if it is among them."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self._pid:
                found = status

    def _end_descendants(self) -> None:
        """Kill all that runs below this process, and come back when it is gone."""
        if not descendants():
            return
        _kill_all(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while descendants():
            self._reap()
            if time.monotonic() > deadline:
                _kill_all(signal.SIGKILL)
            time.sleep(0.01)
        self._reap()


def descendants() -> list[int]:
    """The processes below this one that are alive; orphans among them, if it is a subreaper."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            # A zombie is dead, but what it started may be listed below it for a moment longer.
            parents[int(name)] = int(fields[1]) if fields[0] not in b"ZX" else -int(fields[1])
    found: list[int] = []
    above = {os.getpid()}
    while above:
        below = {pid for pid, parent in parents.items() if abs(parent) in above}
        found += [pid for pid in below if parents[pid] > 0]
        above = below
    return found


def _kill_all(number: int) -> None:
    for pid in descendants():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _story(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by signal {os.WTERMSIG(status)}"
    return f"exit status {os.WEXITSTATUS(status)}"


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"hyper-shell: {text}\n".encode())


def _boottime() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _prctl(option: int, argument: int) -> None:
    """Where there is no prctl, orphans are not found, and the rest still works."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
