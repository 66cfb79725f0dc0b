"""A client's process and all below it, as its supervisor sees them: its only way to the system.

A simulation hands the supervisor another `ClientProcess`; all else that it does is decisions.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple, Protocol

from hypershell.core.environment import CONTROL, PARENT
from hypershell.runtime import clock, procfs
from hypershell.runtime.signals import (
    ENDING,
    Sent,
    SignalReader,
    begin_with_defaults,
    not_ignored,
)

FORWARDED = (*ENDING, signal.SIGUSR1, signal.SIGUSR2)
"""The signals that go on to the client."""

RunClient = Callable[[int, int | None], int]
"""Runs a client to its end, given the descriptors of the pipe to its supervisor and of its
launcher's channel: its exit status.
"""

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36

_PIPE_BYTES = 1024 * 1024  # pipe-max-size, pipe(7)


class Heard(NamedTuple):
    """What came to a supervisor: bytes from its client, and signals."""

    data: bytes
    signals: list[Sent]


class Reaped(NamedTuple):
    """What a look at the children found: the wait status of the client if it has ended, and
    whether it has stopped.
    """

    status: int | None
    has_stopped: bool


class ClientProcess(Protocol):
    """Used by one thread, of the supervisor. `supervisor` is its process, `launcher` the one above.

    `start` comes first, the rest is of the client that it started.
    """

    supervisor: int
    launcher: int

    def prepare(self) -> bool:
        """Take in what the client will leave behind; False if the launcher is gone already."""

    def start(self, client: RunClient) -> int | None:
        """Start the client in a process of its own; None.

        In that process, the exit status of the client.
        """

    def wait(self, seconds: float | None) -> Heard:
        """Wait until the client says something, or ends or stops, or a signal comes."""

    def signals(self) -> list[Sent]:
        """The signals that have come since; returns at once."""

    def last_words(self) -> bytes:
        """What a client that has ended had said, and nobody heard."""

    def reap(self) -> Reaped:
        """Collect what has ended, orphans included."""

    def descendants(self) -> set[int]:
        """What is alive below the supervisor, orphans included."""

    def signal(self, number: int, pid: int | None = None) -> None:
        """Send a signal to the client, or to one of the processes below the supervisor."""

    def signal_all(self, number: int) -> set[int]:
        """Send a signal to all that is below the supervisor; what it may not signal."""

    def stop_supervisor(self) -> None:
        """Stop the supervisor until it is continued."""

    def heed_no_more(self) -> None:
        """Let a signal end the supervisor from now on, as it ends any process."""

    def say(self, text: str) -> None:
        """Tell people."""


class SystemClientProcess:
    """The real one, a child of this process.

    The order that matters: this is a subreaper, and has taken care of its own parent's death,
    before it forks; it forks while there is one thread. What it waits for are the client's pipe and
    signals, which are blocked and read (`SignalReader`).
    """

    def __init__(self) -> None:
        self.supervisor, self.launcher = os.getpid(), os.getppid()
        self._control = _control_descriptor()
        self._pid = 0
        self._read_end = self._write_end = -1
        self._signals: SignalReader
        self._poller = select.poll()

    def prepare(self) -> bool:
        """See ClientProcess."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._read_end, self._write_end = os.pipe()
        if (parent := os.environ.pop(PARENT, "")).isdigit():
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            return self.launcher == int(parent)
        return True

    def start(self, client: RunClient) -> int | None:
        """See ClientProcess. Nothing else runs in this process yet, as it forks."""
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._read_end)
            return self._be_client(client)
        os.close(self._write_end)
        if self._control is not None:
            os.close(self._control)
        heeded = {signal.SIGCHLD, *not_ignored(FORWARDED), *self._stops()}
        self._signals = SignalReader(heeded)
        self._poller.register(self._read_end, select.POLLIN)
        self._poller.register(self._signals.fileno(), select.POLLIN)
        return None

    def _be_client(self, client: RunClient) -> int:
        # A group of its own: what a terminal sends comes once, through the supervisor.
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it may print all the same
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self.supervisor:
            return 128 + signal.SIGTERM
        return client(self._write_end, self._control)

    def _stops(self) -> set[int]:
        """The signals by which Ctrl-Z stops the client with all that it runs, and this process."""
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
            return set()
        if self._control is not None:
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # the launcher says when to pause
            return set()
        return {signal.SIGTSTP, signal.SIGCONT}

    def wait(self, seconds: float | None) -> Heard:
        """See ClientProcess."""
        data, signals = b"", list[Sent]()
        for descriptor, _ in self._poller.poll(clock.poll_milliseconds(seconds)):
            if descriptor == self._signals.fileno():
                signals = self._signals.read()
            # All of it: the lease counts from the last.
            elif not (data := os.read(descriptor, _PIPE_BYTES)):
                self._poller.unregister(descriptor)
        return Heard(data, signals)

    def signals(self) -> list[Sent]:
        """See ClientProcess."""
        return self._signals.read()

    def last_words(self) -> bytes:
        """See ClientProcess."""
        words = b""
        while select.select([self._read_end], [], [], 0)[0]:
            if not (data := os.read(self._read_end, _PIPE_BYTES)):
                break
            words += data
        return words

    def reap(self) -> Reaped:
        """See ClientProcess."""
        found, has_stopped = None, False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return Reaped(found, has_stopped)
            if pid == 0:
                return Reaped(found, has_stopped)
            if pid == self._pid and not os.WIFSTOPPED(status):
                found = status
            elif pid == self._pid:
                has_stopped = True

    def descendants(self) -> set[int]:
        """See ClientProcess."""
        return set(procfs.descendants())

    def signal(self, number: int, pid: int | None = None) -> None:
        """See ClientProcess."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._pid if pid is None else pid, number)

    def signal_all(self, number: int) -> set[int]:
        """See ClientProcess."""
        foreign: set[int] = set()
        for pid in procfs.descendants():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
            except PermissionError:
                foreign.add(pid)
        return foreign

    def stop_supervisor(self) -> None:
        """See ClientProcess."""
        os.kill(os.getpid(), signal.SIGSTOP)

    def heed_no_more(self) -> None:
        """See ClientProcess."""
        self._signals.read()
        begin_with_defaults()

    def say(self, text: str) -> None:
        """See ClientProcess."""
        with contextlib.suppress(OSError):
            os.write(2, f"hyper-shell: {text}\n".encode())


def _control_descriptor() -> int | None:
    """The descriptor that a launcher passed on, for the client alone."""
    number = os.environ.pop(CONTROL, "")
    if not number.isdigit():
        return None
    os.set_inheritable(int(number), False)
    return int(number)


def _prctl(option: int, argument: int) -> None:
    """Where there is no prctl, orphans are not found, and the rest still works."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
