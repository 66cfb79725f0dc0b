"""A real PostgreSQL cluster that is thrown away, with whatever can happen to one."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.helpers.components import lacks
from tests.helpers.waiting import until

_SERVICES = Path(__file__).parents[1] / "services"
_CANNOT = 77


class Postgres:
    """Up from the first database that is asked for, in a directory of its own below /tmp."""

    def __init__(self, fsync: bool = False) -> None:
        self._fsync = "on" if fsync else "off"
        self._password = secrets.token_hex(16)
        self._folder: Path | None = None
        self._port = 0
        self._made = 0
        self._poolers: list[int] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def new_url(self) -> str:
        """The URL of a database that has nothing in it."""
        if self._folder is None:
            self._set_up()
        self._made += 1
        name = f"farm{self._made}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def execute(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement, and return the rows that it gives."""
        import psycopg

        with psycopg.connect(url or self._url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def cut(self) -> int:
        """Break all connections of clients; how many there were."""
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
        return int(self.execute(query)[0][0])

    def pooled(self, url: str, mode: str) -> str:
        """The same database through a pgbouncer of this mode; `close` ends it."""
        assert self._folder is not None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        folder = self._folder / f"pgbouncer-{port}"
        words = [_SERVICES / "pgbouncer-up.sh", folder, str(port), str(self._port), mode]
        _bring_up(words, self._password)
        pid = until(lambda: (folder / "pid").exists() and (folder / "pid").read_text(), 10, "a pid")
        self._poolers.append(int(pid))
        return url.replace(f":{self._port}/", f":{port}/")

    def through(self, url: str, port: int) -> str:
        """The same database by way of another port of this machine."""
        return url.replace(f":{self._port}/", f":{port}/")

    def freeze(self) -> None:
        """SIGSTOP, to the server and all that work for it."""
        for pid in self._processes():
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in self._processes():
            _signal(pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, to the server and all that work for it."""
        processes = self._processes()
        for pid in processes:
            _signal(pid, signal.SIGKILL)
        until(lambda: not any(map(_is_alive, processes)), 10, "PostgreSQL has died")

    def start(self) -> None:
        """Start it again with the data there are."""
        folder = self._folder
        assert folder is not None
        (folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        up = [_SERVICES / "pg-up.sh", folder, str(self._port), self._fsync]
        _bring_up(up, self._password)

    def close(self) -> None:
        """End it and remove all that it has."""
        for pid in self._poolers:
            _signal(pid, signal.SIGTERM)
        if self._folder is not None:
            subprocess.run([_SERVICES / "pg-down.sh", self._folder], check=True)

    def _set_up(self) -> None:
        try:
            import psycopg  # noqa: F401
        except ImportError:
            lacks("psycopg is not installed")
        # Not below a directory of pytest: those are closed to the user that it runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="hyper-shell-pg-", dir="/tmp"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self._folder)
            self._folder = None
            raise

    def _url(self, name: str) -> str:
        return f"postgresql://farm:{self._password}@127.0.0.1:{self._port}/{name}"

    def _processes(self) -> list[int]:
        """The server and its children, that first."""
        import psutil

        assert self._folder is not None
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _bring_up(words: list[Any], password: str) -> None:
    """Run a script of ours; where this machine cannot do that, skip by the reason it names."""
    environment = os.environ | {"PGPASSWORD": password}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == _CANNOT:
        lacks(done.stderr.strip())
    assert 0 == done.returncode, done.stderr


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended with the one before


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
