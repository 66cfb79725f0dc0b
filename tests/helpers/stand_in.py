"""A `hyper-shell` for shells, whose starts are warm: it asks for the process that it stands for.

The program connects to the process of pytest and hands over its arguments, environment, directory
and descriptors; the stem forks what runs with those. Signals that the program gets go there, and
its exit status, or the signal it dies of, is the one from there. What cannot be warm it becomes
itself. The one thing that it cannot do is to be killed for another: after SIGKILL that runs on.
"""

import marshal
import secrets
import shlex
import socket
import sys
import threading
from pathlib import Path
from types import TracebackType

from tests.helpers.warm import WarmProcess, is_warm

_PROGRAM = """
import marshal, os, signal, socket, sys

FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

def forward(number, frame):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # its status is on its way

gate = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
gate.connect("\\0" + sys.argv[1])
request = marshal.dumps((sys.argv[2:], os.getcwd(), dict(os.environ)))
socket.send_fds(gate, [request], [0, 1, 2])
pid = int(gate.recv(100))
if pid == 0:
    os.execv(sys.executable, [sys.executable, "-m", "hypershell", *sys.argv[2:]])
for number in FORWARDED:
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, forward)
status = int(gate.recv(100))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""

_MAX_REQUEST = 256 * 1024
"""Bytes; what is warm has far fewer."""


class StandIns:
    """Answers the programs that it has made, for as long as it is entered."""

    def __init__(self) -> None:
        self._name = f"hyper-shell-{secrets.token_hex(8)}"
        self._gate = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._starting = threading.Lock()

    def __enter__(self) -> "StandIns":
        self._gate.bind(f"\0{self._name}")
        self._gate.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gate.shutdown(socket.SHUT_RDWR)
        self._gate.close()

    def write(self, path: Path) -> None:
        """Make a program that stands for `hyper-shell`."""
        body = path.with_suffix(".py")
        body.write_text(_PROGRAM)
        words = shlex.join([sys.executable, "-I", "-S", str(body), self._name])
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._gate.accept()
            except OSError:
                return
            threading.Thread(target=self._stand, args=(connection,), daemon=True).start()

    def _stand(self, connection: socket.socket) -> None:
        with connection:
            text, descriptors, _, _ = socket.recv_fds(connection, _MAX_REQUEST, 3)
            words, folder, environment = marshal.loads(text)
            stdin, stdout, stderr = map(open, descriptors, ("rb", "wb", "wb"))
            command = [sys.executable, "-m", "hypershell", *words]
            settings = {"cwd": folder, "stdin": stdin, "stdout": stdout, "stderr": stderr}
            with stdin, stdout, stderr:
                if not is_warm(command, environment, settings):
                    connection.send(b"0")
                    return
                with self._starting:
                    process = WarmProcess(command, env=environment, **settings)
            connection.send(str(process.pid).encode())
            connection.send(str(process.wait()).encode())
