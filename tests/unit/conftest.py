"""Fixtures for the tests of access: a user's seal key, a server's access, and other processes."""

import codecs
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hypershell.access.access_file import write
from hypershell.access.endpoints import Access, generate
from hypershell.access.keyring import Keyring
from hypershell.core.errors import HyperShellError
from hypershell.serverdir.directory import ServerDirectory
from tests.helpers.others import let_others_in

NOBODY = 65534


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    """The keyring of a user who has no seal key yet, and no passphrase."""
    return Keyring(tmp_path / "config" / "seal.key")


@pytest.fixture
def access() -> Access:
    """Access to both planes of a server."""
    return generate(("node1", 1234), ("login.example.org", 6789))


@pytest.fixture
def access_file(tmp_path: Path, access: Access, ring: Keyring) -> Path:
    """A full access file, sealed with the user's key."""
    path = tmp_path / "access.json"
    write(path, access, ring.new_seal())
    return path


@pytest.fixture
def directory(tmp_path: Path) -> ServerDirectory:
    """A server directory that nobody has made yet."""
    return ServerDirectory(tmp_path / "farm")


@pytest.fixture
def fork() -> Iterator[Callable[[Callable[[], None]], int]]:
    """Run a function in a forked process; what is left of them in the end is killed."""
    children = []

    def start(function: Callable[[], None]) -> int:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                function()
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        children.append(pid)
        return pid

    yield start
    for pid in children:
        with suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, 9)
                os.waitpid(pid, 0)


@pytest.fixture
def ordinary_user(fork, tmp_path_factory):
    """Call a function on a directory as somebody who is not root; the text of its error."""

    def call(function: Callable[[Path], object]) -> str:
        folder = tmp_path_factory.mktemp("ordinary")
        if os.geteuid() == 0:
            let_others_in(folder)
            os.chown(folder, NOBODY, NOBODY)
        codecs.lookup("ascii")  # that user may not be able to read Python's own files
        reader, writer = os.pipe()

        def child() -> None:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            try:
                function(folder)
            except HyperShellError as error:
                os.write(writer, f"{type(error).__name__}: {error}".encode())

        fork(child)
        os.close(writer)
        with open(reader, "rb") as pipe:
            return pipe.read().decode()

    return call
