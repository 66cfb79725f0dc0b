"""Our own farm, by its command line: the checkout this file stands in, under this Python."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import processes
from processes import Process

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (sys.executable, "-m", "hypershell")
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


def clean_environment(home: Path) -> dict[str, str]:
    """Little of this process's environment, and a home and a temporary directory that go away."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    return environment | {"HOME": str(home), "TMPDIR": str(home), "SHELL": "/bin/sh"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def new_key() -> str:
    return "hs1_" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def missing() -> str:
    """Why our own program cannot be measured, or nothing."""
    done = _ask_version()
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"hyper-shell does not run here ({last}): skipped. `pip install .` brings what it needs."


def version() -> str:
    done = _ask_version()
    return done.stdout.strip() if done.returncode == 0 else "does not run"


def _ask_version() -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [*PROGRAM, "--version"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@dataclass(slots=True)
class Farm:
    """One server and its clients: a port, a key and a directory of their own."""

    directory: Path
    keeps: bool = False  # a task database, in SQLite, which is empty at the start
    port: int = field(default_factory=free_port)
    key: str = field(default_factory=new_key)

    @property
    def site(self) -> Path:
        return self.directory / "farm"

    def begin_empty(self) -> None:
        """Forget all runs before."""
        shutil.rmtree(self.site, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        return clean_environment(self.directory) | {
            "PYTHONPATH": str(ROOT),
            "HYPERSHELL_AUTH": self.key,
            "HYPERSHELL_SERVER_DIR": str(self.site),
        }

    def server(self, source: Path | str) -> list[str]:
        return [*PROGRAM, "server", str(source), *self._door(), *self._kept()]

    def client(self, slots: int) -> list[str]:
        return [*PROGRAM, "client", *self._door(), "-N", str(slots)]

    def cluster(self, source: Path | str, slots: int) -> list[str]:
        return [*PROGRAM, "cluster", str(source), "-N", str(slots), *self._kept()]

    def start_server(self, source: Path | str, stdin: int = subprocess.DEVNULL) -> Process:
        command = self.server(source)
        return processes.start("server", command, self.directory, self.environment(), stdin=stdin)

    def start_as(self, how: str) -> Process:
        """A server without an input: `--forever` or `--restart`."""
        command = [*PROGRAM, "server", how, *self._door()]
        return processes.start("server", command, self.directory, self.environment())

    def start_client(self, slots: int) -> Process:
        return processes.start("client", self.client(slots), self.directory, self.environment())

    def _kept(self) -> tuple[str, ...]:
        return () if self.keeps else ("--no-db",)

    def _door(self) -> tuple[str, ...]:
        return ("-H", "localhost", "-p", str(self.port))
