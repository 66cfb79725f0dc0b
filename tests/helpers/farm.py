"""A farm of real processes: servers, clients and clusters through the command line.

All that a farm starts, and all that those start, carries a mark in its environment, so that what
was left behind is found wherever it went.
"""

import contextlib
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from hypershell.access.keys import new_key
from hypershell.runtime import threads
from tests.helpers.waiting import until
from tests.helpers.warm import STEM, WarmProcess, is_warm

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "hypershell"]
PROMPT = 30.0
"""Seconds within which what needs no time has happened, on a machine that is busy."""

_MARK = "FARM_UNDER_TEST"
_LISTENING = r"listening on (\S+): port (\d+)"


class Process:
    """One command under way. What it says is in files, to be read at any time."""

    def __init__(
        self, command: list[str], folder: Path, environment: Mapping[str, str], **popen: Any
    ) -> None:
        self.command = command
        stem = folder / f"process-{len(list(folder.glob('process-*.err')))}"
        self._err_path, self.out_path = stem.with_suffix(".err"), stem.with_suffix(".out")
        with contextlib.ExitStack() as files:
            err = files.enter_context(self._err_path.open("wb"))
            out = files.enter_context(self.out_path.open("wb"))
            settings = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            settings |= {"start_new_session": True} | popen
            cold = settings.pop("cold", False) or not is_warm(command, environment, settings)
            start = subprocess.Popen if cold else WarmProcess
            self.popen = start(command, env=dict(environment), **settings)
        self.pid = self.popen.pid
        self.may_print_traceback = False

    def __repr__(self) -> str:
        return f"{' '.join(self.command)}: status {self.popen.poll()}\n{self.err}"

    @property
    def err(self) -> str:
        """What it has said on standard error so far."""
        return self._err_path.read_text("utf-8", "replace")

    @property
    def out(self) -> bytes:
        """What it has written to standard output so far, unless that went elsewhere."""
        return self.out_path.read_bytes()

    def wait(self, seconds: float = PROMPT) -> int:
        """Its exit status; AssertionError if it does not end within the bound."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"did not end within {seconds:g} s: {' '.join(self.command)}\n{self.err}"
            ) from None

    def expect(self, pattern: str, seconds: float = PROMPT) -> re.Match[str]:
        """Wait until it says this on standard error."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.err)
            if found is None and self.popen.poll() is not None:
                found = re.search(pattern, self.err)
                assert found, f"ended without {pattern!r}"
            return found

        try:
            return until(look, seconds, f"{pattern!r} on standard error")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.err}") from None

    @property
    def port(self) -> int:
        """Where a server listens, waiting until it does."""
        return int(self.expect(_LISTENING)[2])

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        self.popen.send_signal(number)

    def press_ctrl_c(self) -> None:
        """SIGINT to its whole group, as a terminal does."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        self.popen.kill()
        self.popen.wait(PROMPT)

    def descendants(self) -> list[psutil.Process]:
        """The processes below it that are alive."""
        try:
            return [p for p in children(psutil.Process(self.pid), recursive=True) if _is_alive(p)]
        except psutil.NoSuchProcess:
            return []

    def kill_tree(self) -> None:
        """SIGKILL to it, and then to all that was below it."""
        below = self.descendants()
        self.kill()
        kill_all(below)

    def client_proper(self) -> psutil.Process:
        """Of a client: the process that runs tasks, below the supervisor."""
        return until(lambda: psutil.Process(self.pid).children(), PROMPT, "a client process")[0]


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL to each in turn; the end of one may end another before its turn comes."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def children(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    """Those of the program: a cluster may have a stem beside them, which is of the tests."""
    return [p for p in process.children(recursive=recursive) if STEM not in _words(p)]


def rarely(*values: object) -> Any:
    """A case of a test that only the campaign runs."""
    return pytest.param(*values, marks=pytest.mark.campaign)


class Pipe:
    """A pipe for processes to share; ours is only the place where it is made."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def close(self) -> None:
        """Close both ends here, so that only the processes hold them."""
        os.close(self.read_end)
        os.close(self.write_end)


class Farm:
    """Starts servers, clients and clusters in a directory of its own, and ends what is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[Process] = []
        self.port = 0
        self.cold = False
        """Whether nothing that is started is forked: for tests of the start itself."""
        self._mark = secrets.token_hex(8)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HYPERSHELL_", "TASK_"))}
        self.environment = kept | {
            _MARK: self._mark,
            "HYPERSHELL_AUTH": new_key(),
            threads.CHECK_VARIABLE: "1",  # a lock that is taken out of order is an error
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
        }

    # Starting.

    def start(self, *words: object, env: Mapping[str, str] | None = None, **popen: Any) -> Process:
        """Start `hyper-shell WORDS`, in this farm's directory."""
        return self.spawn([*PROGRAM, *map(str, words)], env=env, **popen)

    def spawn(
        self, command: list[str], env: Mapping[str, str] | None = None, **popen: Any
    ) -> Process:
        """Start any command with this farm's environment."""
        environment = self.environment | dict(env or {})
        settings = {"cwd": self.folder, "cold": self.cold} | popen
        process = Process(command, self.folder, environment, **settings)
        self.processes.append(process)
        return process

    def spawn_shell(self, command: str, **popen: Any) -> Process:
        """Start a shell command in which $HYPERSHELL stands for the program."""
        words = " ".join(map(shlex.quote, PROGRAM))
        return self.spawn(["/bin/sh", "-c", command.replace("$HYPERSHELL", words)], **popen)

    def start_server(
        self, lines: Iterable[str | bytes] | Path, *options: object, **popen: Any
    ) -> Process:
        """Start a server on these lines, or this file, on any free port; wait until it listens."""
        path = lines if isinstance(lines, Path) else self.write_lines(lines)
        server = self.start("server", path, "-p", 0, *options, **popen)
        self.port = server.port
        return server

    def start_client(self, *options: object, port: int | None = None, **popen: Any) -> Process:
        """Start a client of the server that was started last, or of the one on this port."""
        return self.start("client", "-p", port or self.port, *options, **popen)

    def start_cluster(
        self, lines: Iterable[str | bytes] | Path, *options: object, **popen: Any
    ) -> Process:
        """Start a cluster on these lines, or this file."""
        path = lines if isinstance(lines, Path) else self.write_lines(lines)
        return self.start("cluster", path, *options, **popen)

    def run(self, *words: object, seconds: float = PROMPT, **popen: Any) -> Process:
        """Run `hyper-shell WORDS` to its end."""
        process = self.start(*words, **popen)
        process.wait(seconds)
        return process

    def elsewhere(self) -> dict[str, str]:
        """An environment with a server directory of its own, for a second server at a time."""
        return {"HYPERSHELL_SERVER_DIR": str(self.folder / f"directory-{len(self.processes)}")}

    def free_port(self) -> int:
        """A port that is free now, which from now on is the one that clients go to."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        return self.port

    # Files.

    def write_lines(self, lines: Iterable[str | bytes]) -> Path:
        """A new file of these lines, each ended."""
        path = self.folder / f"tasks-{len(list(self.folder.glob('tasks-*')))}"
        encoded = [line.encode() if isinstance(line, str) else line for line in lines]
        path.write_bytes(b"".join(line + b"\n" for line in encoded))
        return path

    def read(self, name: str) -> list[str]:
        """The lines of a file of this farm so far; none if it is not there."""
        try:
            return (self.folder / name).read_text("utf-8", "surrogateescape").splitlines()
        except FileNotFoundError:
            return []

    def wait_for_lines(self, name: str, count: int, seconds: float = PROMPT) -> list[str]:
        """Wait until a file of this farm has so many lines."""

        def look() -> list[str] | None:
            lines = self.read(name)
            return lines if len(lines) >= count else None

        found = until(look, seconds, f"{count} lines in {name}")
        assert found is not None
        return found

    # Looking and ending.

    def alive(self) -> list[psutil.Process]:
        """All processes of this farm that are alive, wherever they went."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def tasks(self) -> list[psutil.Process]:
        """The processes of this farm that are none of hyper-shell's own."""
        # One that ended since has no words any more.
        words = ((process, _words(process)) for process in self.alive())
        return [process for process, its in words if its and "hypershell" not in its]

    def wait_until_gone(self, seconds: float = 5.0) -> None:
        """Wait until no process of this farm is alive."""
        try:
            until(lambda: not self.alive(), seconds, "every process of the farm has ended")
        except AssertionError as error:
            raise AssertionError(f"{error}: {_described(self.alive())}") from None

    def close(self) -> None:
        """End all that runs; AssertionError if that fails, or if something was left behind."""
        stubborn = self._stop_what_runs()
        try:
            self.wait_until_gone()
            left = ""
        except AssertionError:
            left = _described(self.alive())
            for orphan in self.alive():
                with contextlib.suppress(psutil.NoSuchProcess):
                    orphan.kill()
        assert not stubborn, f"SIGTERM did not end {stubborn[0].command}\n{stubborn[0].err}"
        assert not left, f"left behind: {left}"
        for process in self.processes:
            assert process.may_print_traceback or "Traceback" not in process.err, process.err

    def _stop_what_runs(self) -> list[Process]:
        """End all that was started here; what did not end by SIGTERM."""
        for process in self._still_running():
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + PROMPT
        for process in self._still_running():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(max(0.0, deadline - time.monotonic()))
        stubborn = list(self._still_running())
        for process in stubborn:
            process.kill()
        return stubborn

    def _still_running(self) -> Iterator[Process]:
        return filter(lambda process: process.is_running, self.processes)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(_MARK) == self._mark and _is_alive(process)
        except (psutil.Error, OSError):
            return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _described(processes: list[psutil.Process]) -> str:
    return "; ".join(f"{process.pid} {' '.join(_words(process))[:120]}" for process in processes)
