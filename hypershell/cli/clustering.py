"""A run of a server together with its clients, on this machine.

The clients are started as soon as there is a socket for them to knock at: their start-up and the
server's take the same time, and go side by side.
"""

import logging
from socket import socket

from hypershell.access.keys import WORKER, new_key, plane_secret
from hypershell.cli.client import slots
from hypershell.cli.inputs import key_from, open_input_and_sink, server_options
from hypershell.cli.launch import Launcher, LocalLauncher
from hypershell.cli.listening import bind, check_key
from hypershell.cli.logs import set_up
from hypershell.cli.options import Parsed
from hypershell.client.process import check_shell
from hypershell.core.errors import ClientsEnded
from hypershell.server.failures import LineSink
from hypershell.server.lines import LineReader
from hypershell.server.settings import ServerOptions

_LEAVE_SECONDS = 1.0
"""For clients that know of the end. One that has not even joined is told so."""


def run_cluster(parsed: Parsed) -> int:
    """Run a cluster by its parsed options; the exit status."""
    options = server_options(parsed)
    number = parsed.whole("--clients", default=1, lowest=1, highest=1000)
    arguments = _client_arguments(parsed)
    set_up(parsed)
    if not parsed.flag("--verbose"):
        logging.getLogger("hypershell.server").setLevel(logging.WARNING)
    key = key_from(parsed) or new_key()
    reader, sink = open_input_and_sink(parsed)
    port = parsed.whole("--port", "--worker-port", default=0, lowest=0, highest=65535)
    host = parsed.text("--bind") or "localhost"
    with bind(host, port, any_port_will_do=False) as sock:
        check_key(key, sock, host)
        launcher = LocalLauncher(number, tasks_print_to_stderr=parsed.flag("--print"))
        where = ["-H", _reachable(sock), "-p", str(sock.getsockname()[1])]
        launcher.prepare([*arguments, *where], key)
        return _run(options, reader, sink, sock, key, launcher)


def _run(
    options: ServerOptions,
    reader: LineReader,
    sink: LineSink,
    sock: socket,
    key: str,
    launcher: Launcher,
) -> int:
    launcher.start()
    try:
        from hypershell.cli.serving import run_server
        from hypershell.server.server import Server

        server = Server(options, reader, sink, {WORKER: (sock, plane_secret(key, WORKER))})
        launcher.watch(lambda status: server.give_up(ClientsEnded(status=status)))
        return run_server(server, lambda: None)
    finally:
        launcher.wait(_LEAVE_SECONDS)


def _client_arguments(parsed: Parsed) -> list[str]:
    """The words that give each client its options."""
    shell = parsed.text("--shell") or ""
    check_shell(shell)
    arguments = ["-N", str(slots(parsed)), "--shell", shell]
    for name in ("--output", "--errors", "--log-file", "--log-format"):
        if (value := parsed.text(name)) is not None:
            arguments += [name, value]
    return [*arguments, "--verbose" if parsed.flag("--verbose") else "--quiet"]


def _reachable(sock: socket) -> str:
    """Where a client of this machine finds a server that may listen on all addresses."""
    host = str(sock.getsockname()[0])
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
