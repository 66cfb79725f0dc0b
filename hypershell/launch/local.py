"""Clients on this machine, as processes of our own."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from hypershell.core import environment
from hypershell.core.units import counted
from hypershell.runtime import clock, procfs, threads

log = logging.getLogger(__name__)

_KILL_SECONDS = 2.0
"""Seconds that what was killed may take to end."""

_ORPHAN_SECONDS = 8.0
"""Seconds that a client without a supervisor may take to stop its tasks."""

_MAX_ANSWER = 4096


class LocalLauncher:
    """Starts a number of clients on this machine; see `Launcher` for the methods."""

    def __init__(self, number: int, tasks_print_to_stderr: bool) -> None:
        self._number = number
        self._stdout = 2 if tasks_print_to_stderr else None
        self._command: list[str] = []
        self._environment: dict[str, str] = {}
        self._clients: list[subprocess.Popen[bytes]] = []
        self._killed: list[int] = []
        self._watched = False
        self._output_lock: int | None = None
        self._channels: list[socket.socket] = []
        self._paused: dict[socket.socket, str] = {}

    def prepare(self, arguments: list[str], key: str, variables: Mapping[str, str | None]) -> None:
        """See `Launcher`."""
        self._command = [*_this_program(), "client", *arguments]
        parent = str(os.getpid())
        changed: dict[str, str | None] = {**os.environ, **variables}
        ours = {name: value for name, value in changed.items() if value is not None}
        self._environment = ours | {environment.AUTH: key, environment.PARENT: parent}
        if self._number > 1 and hasattr(os, "memfd_create"):
            self._output_lock = os.memfd_create("output lock", os.MFD_CLOEXEC)
            self._environment[environment.OUTPUT_LOCK] = str(self._output_lock)

    def start(self) -> None:
        """See `Launcher`."""
        shared = () if self._output_lock is None else (self._output_lock,)
        for _ in range(self._number):
            ours, theirs = socket.socketpair()
            control = {environment.CONTROL: str(theirs.fileno())}
            # A session of its own: what a terminal sends reaches it through the server alone.
            with theirs:
                client = subprocess.Popen(
                    self._command,
                    env=self._environment | control,
                    stdin=subprocess.DEVNULL,
                    stdout=self._stdout,
                    start_new_session=True,
                    pass_fds=[theirs.fileno(), *shared],
                )
            self._clients.append(client)
            self._channels.append(ours)

    def watch(self, ended: Callable[[int], None]) -> None:
        """See `Launcher`."""
        self._watched = True

        def wait_for_all() -> None:
            ended(max(abs(client.wait()) for client in self._clients))

        threads.start_thread("launcher", wait_for_all)

    def pause(self, seconds: float) -> set[str]:
        """See `Launcher`."""
        deadline = clock.monotonic() + seconds
        self._paused = {}
        asked = [channel for channel in self._channels if _send(channel, b"pause\n")]
        for channel in asked:
            channel.settimeout(max(0.001, deadline - clock.monotonic()))
            with suppress(OSError):
                match channel.recv(_MAX_ANSWER).split():
                    case [b"paused", client_id]:
                        self._paused[channel] = client_id.decode()
        return set(self._paused.values())

    def go_on(self, heard_at: float) -> None:
        """See `Launcher`."""
        for channel in self._channels:
            _send(channel, b"go-on %r\n" % heard_at if channel in self._paused else b"go-on\n")

    def wait(self, seconds: float, stop_seconds: float) -> None:
        """See `Launcher`."""
        if not self._watched:
            self.hurry()
        for client in self._remaining(seconds):
            client.terminate()
        late = self._remaining(stop_seconds)
        if late:
            log.warning("killing %s that did not end in time", counted(len(late), "client"))
            self.hurry()
            self._remaining(_KILL_SECONDS)
        for pid in self._killed:
            _end_session(pid)

    def hurry(self) -> None:
        """See `Launcher`."""
        for client in self._clients:
            if client.returncode is None:
                self._killed.append(client.pid)
                with suppress(ProcessLookupError):
                    os.killpg(client.pid, signal.SIGKILL)

    def _remaining(self, seconds: float) -> list[subprocess.Popen[bytes]]:
        """Those that have not ended after so many seconds."""
        deadline = clock.monotonic() + seconds
        remaining = []
        for client in self._clients:
            try:
                client.wait(max(0.0, deadline - clock.monotonic()))
            except subprocess.TimeoutExpired:
                remaining.append(client)
        return remaining


def _end_session(session: int) -> None:
    """See that a client ends whose supervisor was killed: it stops its tasks by itself."""
    deadline = clock.monotonic() + _ORPHAN_SECONDS
    while (groups := procfs.live_sessions().get(session)) and clock.monotonic() < deadline:
        clock.sleep(0.02)
    for group in groups or ():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _send(channel: socket.socket, line: bytes) -> bool:
    """Whether the client at the other end is still there to be told this."""
    with suppress(OSError):
        channel.settimeout(0.0)
        while True:  # what came too late
            try:
                if not channel.recv(_MAX_ANSWER):
                    return False
            except BlockingIOError:
                break
        channel.sendall(line)
        return True
    return False


def _this_program() -> list[str]:
    """The words by which this program was started, without its arguments."""
    count = len(sys.orig_argv) - len(sys.argv) + 1
    return [sys.executable, *sys.orig_argv[1:count]]
