"""Secrets stay secret: modes at every instant, and no key anywhere but under its seal."""

import ctypes
import os
import re
import select
import shutil
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.access import Site, opened
from tests.helpers.components import lacks
from tests.helpers.waiting import until


class Watch:
    """Notes the mode of everything in some directories whenever anything happens to it.

    A mode that lasts only for an instant may be missed by looking, hence `traced` below.
    """

    _CREATE, _MOVED_TO, _ATTRIB, _OPEN = 0x100, 0x80, 0x4, 0x20

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._add = libc.inotify_add_watch
        self._descriptor: int = libc.inotify_init1(os.O_CLOEXEC)
        self._paths: dict[int, Path] = {}
        self._over = threading.Event()
        self.seen: dict[Path, set[int]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, folder: Path) -> None:
        """Watch one more directory."""
        mask = self._CREATE | self._MOVED_TO | self._ATTRIB | self._OPEN
        self._paths[self._add(self._descriptor, os.fsencode(folder), mask)] = folder
        for path in folder.iterdir():
            self._look(path)

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def close(self) -> dict[Path, set[int]]:
        """End, and return all modes that were seen, by path."""
        self.stop()
        self._thread.join()
        os.close(self._descriptor)
        return self.seen

    def _run(self) -> None:
        while not self._over.is_set():
            if not select.select([self._descriptor], [], [], 0.1)[0]:
                continue
            data = os.read(self._descriptor, 65536)
            while data:
                number, _, _, length = struct.unpack_from("iIII", data)
                name = data[16 : 16 + length].rstrip(b"\0")
                data = data[16 + length :]
                self._look(self._paths[number] / os.fsdecode(name))

    def _look(self, path: Path) -> None:
        try:
            status = path.lstat()
        except OSError:
            return
        if stat.S_ISLNK(status.st_mode):
            return
        known = path in self.seen
        self.seen.setdefault(path, set()).add(stat.S_IMODE(status.st_mode))
        if stat.S_ISDIR(status.st_mode) and not known:
            self.add(path)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Eyes on directories."""
    watch = Watch()
    yield watch
    watch.stop()


def test_nobody_else_can_open_anything_under_an_open_umask(site: Site, watch: Watch) -> None:
    """With umask 000: directories 0700, access files and claim 0400, all else closed to others.

    The directories are watched while a server starts, works, is found and stops.
    """
    watch.add(site.farm.folder)

    site.serve(umask=0)
    parts = ("--worker-file", "w.json", "--client-file", "c.json")
    ports = ("--worker-port", 1, "--client-port", 2)
    made = site.farm.run("server", "generate-access", "full.json", *ports, *parts, umask=0)
    site.client(umask=0)
    site.submit("true")
    modes = {
        str(path.relative_to(site.farm.folder)): stat.S_IMODE(path.lstat().st_mode)
        for path in site.farm.folder.rglob("*")
        if not path.is_symlink()
    }
    site.stop()

    assert 0 == made.wait()
    key = ".config/hyper-shell"
    closed = {"site": 0o700, "site/001": 0o700, ".config": 0o700, key: 0o700}
    closed |= {f"{name}.json": 0o400 for name in ("full", "w", "c", "site/001/access")}
    closed |= {"site/claim": 0o400, "site/lock": 0o600, f"{key}/seal.key": 0o600}
    assert closed == {name: modes[name] for name in closed}
    ours = {
        str(path): oct(mode)
        for path, seen in watch.close().items()
        for mode in seen
        if not path.name.startswith(("process-", "tasks-"))
        if mode & 0o077
    }
    assert {} == ours


def test_no_file_is_created_open_to_others(site: Site) -> None:
    """The kernel is never asked for a file of ours with a mode that others could use.

    Traced, so that not even an instant is missed.
    """
    strace = _strace()
    trace = site.farm.folder / "trace"
    calls = "trace=open,openat,creat,mkdir,mkdirat,mknod,chmod,fchmod,fchmodat,umask"
    before = [strace, "-f", "-qq", "-e", calls, "-o", str(trace)]
    site.farm.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    words = ["server", "generate-access", "full.json", "--worker-port=1", "--client-port=2"]
    python = [sys.executable, "-m", "hypershell"]

    made = site.farm.spawn([*before, *python, *words], umask=0)
    assert 0 == made.wait(60), made.err
    lines = trace.read_text().splitlines()
    start = site.farm.spawn(
        [*before, *python, "server", "start", "--server-dir", str(site.path)], umask=0
    )
    start.expect("listening on", 60)
    lines += trace.read_text().splitlines()
    site.stop()

    creating = [line for line in lines if "O_CREAT" in line or "mkdir" in line or "chmod" in line]
    creating = [line for line in creating if str(site.farm.folder) in line or "fchmod" in line]
    assert creating
    assert [] == [line for line in creating if not _ends_closed(line)]


def _strace() -> str:
    strace = shutil.which("strace") or lacks("strace is not installed")
    if subprocess.run([strace, "-qq", "true"], capture_output=True, check=False).returncode != 0:
        lacks("nothing can be traced here")
    return strace


def _ends_closed(line: str) -> bool:
    """Whether the last argument of a call is a mode that gives others nothing."""
    mode = re.search(r", (0[0-7]*)(\) +=| <unfinished)", line)
    return mode is not None and not int(mode[1], 8) & 0o077


def pieces(key: str) -> set[bytes]:
    """All 16 bytes in a row of a key, but for its prefix that every key has."""
    text = key.removeprefix("hs1_").encode()
    return {text[at : at + 16] for at in range(len(text) - 15)}


def test_no_key_is_anywhere_but_under_its_seal(site: Site) -> None:
    """Not in any file, log at -v, output of --debug, command line or environment of a task.

    No 16 bytes in a row of a key, the passphrase or the seal key itself are found.
    """
    server = site.serve("-v", "--debug")
    client = site.start("client", "-v", "--debug")
    site.submit("cat /proc/self/environ /proc/$PPID/environ > environment; sleep 60")
    until(lambda: site.farm.read("environment") and len(site.farm.tasks()) > 0, 15, "it runs")
    commands = [
        site.start("server", "info", "--json", "--debug"),
        site.start("client", "-k", "x" * 20, "--debug", "-H", "localhost"),
        site.farm.start("access", "info", site.path / "current" / "access.json", "--debug"),
        site.farm.start("client", "--access-file", "nowhere", "--wait", 0, "--debug"),
    ]
    for command in commands[:1] + commands[2:3]:
        command.wait()
    access = site.access()
    secrets = {piece for endpoint in access.endpoints.values() for piece in pieces(endpoint.key)}
    seal = site.farm.folder / ".config" / "hyper-shell" / "seal.key"
    secrets |= pieces(seal.read_text().split()[1])

    exposed = {"processes": _all_of_processes()}
    for path in site.farm.folder.rglob("*"):
        if path.is_file() and path != seal:
            exposed[str(path)] = path.read_bytes()

    assert server.is_running
    assert client.is_running
    assert str(site.path / "001" / "access.json") in exposed
    assert b"TASK_ID" in exposed[str(site.farm.folder / "environment")]
    found = [where for where, data in exposed.items() if any(it in data for it in secrets)]
    assert [] == found
    site.stop()
    for command in commands:
        command.popen.kill()
        command.popen.wait()
        command.may_print_traceback = True  # which is what --debug asks for


def _all_of_processes() -> bytes:
    """Command lines of all processes of this machine."""
    found = []
    for process in psutil.process_iter():
        try:
            found.append("\0".join(process.cmdline()).encode("utf-8", "surrogateescape"))
        except psutil.Error:
            continue
    return b"\n".join(found)


def test_a_passphrase_and_a_key_stay_out_of_tasks_and_logs(site: Site) -> None:
    """Given by the environment, neither is in what tasks see, in a file or on a command line."""
    phrase = "correct horse battery staple"
    site.environment["HYPERSHELL_PASSPHRASE"] = phrase
    site.serve("-v")
    site.client("-v", "--debug")
    site.submit("env > environment; tr '\\0' '\\n' < /proc/self/environ >> environment; sleep 60")
    until(lambda: len(site.farm.read("environment")) > 20, 15, "the task runs")

    files = {path: path.read_bytes() for path in site.farm.folder.rglob("*") if path.is_file()}

    assert "client" in opened(site.path / "current" / "access.json", site.environment).endpoints
    assert [] == [path for path, data in files.items() if phrase[:16].encode() in data]
    assert phrase.encode() not in _all_of_processes()
    site.stop()


def test_a_key_on_the_command_line_reaches_no_task(site: Site) -> None:
    """-k is in the command line that the user wrote, and in no environment or file."""
    key = "a-word-that-somebody-chose"
    site.serve("-k", key, "-p", 0)
    port = site.record()["worker_port"]
    client = site.farm.start("client", "-k", key, "-p", port)
    client.expect("joined")

    site.submit("env > environment; echo >> environment")

    assert key not in "\n".join(site.farm.wait_for_lines("environment", 10))
    files = [path for path in site.farm.folder.rglob("*") if path.is_file()]
    assert [] == [path for path in files if key.encode() in path.read_bytes()]
