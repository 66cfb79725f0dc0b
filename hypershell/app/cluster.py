"""A run of a server together with its clients, on this machine.

The clients are started as soon as there is a socket for them to knock at: their start-up and the
server's take the same time, and go side by side.
"""

import logging
import os
from socket import socket

from hypershell.access.endpoints import new_server_uid
from hypershell.access.keyring import keyring
from hypershell.access.keys import CLIENT, WORKER, new_key, plane_secret
from hypershell.app.bind import bind, check_key
from hypershell.app.database import begin, check_database_options, is_named
from hypershell.app.planes import BoundPlanes, PlannedPlane
from hypershell.app.server_inputs import key_from, open_input_and_sink, server_options
from hypershell.cli.options import Parsed
from hypershell.cli.output.logs import set_up
from hypershell.cli.verbs.client import slots
from hypershell.client.tasks.spawn import check_shell
from hypershell.core.errors import ClientsEnded, StartError
from hypershell.launch.local import Launcher, LocalLauncher
from hypershell.server.input.lines import LineReader
from hypershell.server.options import ServerOptions
from hypershell.server.reports.sink import LineSink
from hypershell.serverdir.directory import server_directory
from hypershell.serverdir.held import LockedDirectory

log = logging.getLogger(__name__)

_LEAVE_SECONDS = 1.0
"""For clients that know of the end. One that has not even joined is told so."""


def run_cluster(parsed: Parsed) -> int:
    """Run a cluster by its parsed options; the exit status."""
    options = server_options(parsed)
    check_database_options(parsed)
    number = parsed.whole("--clients", default=1, lowest=1, highest=1000)
    arguments = _client_arguments(parsed)
    set_up(parsed)
    if not parsed.flag("--verbose"):
        logging.getLogger("hypershell.server").setLevel(logging.WARNING)
    key = key_from(parsed) or new_key()
    reader, sink = open_input_and_sink(parsed, options)
    port = parsed.whole("--port", "--worker-port", default=0, lowest=0, highest=65535)
    host = parsed.text("--bind") or "localhost"
    with bind(host, port, any_port_will_do=False) as sock:
        check_key(key, sock, host)
        launcher = LocalLauncher(number, tasks_print_to_stderr=parsed.flag("--print"))
        where = ["-H", _reachable(sock), "-p", str(sock.getsockname()[1])]
        launcher.prepare([*arguments, *where], key)
        launcher.start()
        try:
            return _run(parsed, options, reader, sink, sock, key, launcher)
        finally:
            launcher.wait(_LEAVE_SECONDS)


def _run(
    parsed: Parsed,
    options: ServerOptions,
    reader: LineReader | None,
    sink: LineSink,
    sock: socket,
    key: str,
    launcher: Launcher,
) -> int:
    from hypershell.app.serve import run_server, serve_found
    from hypershell.server.server import Server

    def prepare(server: Server) -> None:
        launcher.watch(lambda status: server.give_up(ClientsEnded(status=status)))

    uid = new_server_uid()
    held = _hold(parsed, uid)
    if held is None:
        planes = {WORKER: (sock, plane_secret(key, WORKER))}
        server = Server(options, reader, sink, planes)
        return run_server(server, lambda: None, prepare=prepare)
    ring = keyring(None, os.environ)
    level = logging.INFO if parsed.flag("--verbose") else logging.DEBUG
    with held, bind("localhost", 0, any_port_will_do=True) as client:
        plans = {
            WORKER: PlannedPlane(str(parsed.text("--bind") or "localhost"), None, 0, key, False),
            CLIENT: PlannedPlane("localhost", None, 0, new_key(), True),
        }
        bound = BoundPlanes(sock, client, plans)
        run_session = begin(parsed, options, reader, held.path, uid)
        return serve_found(
            options, reader, sink, held, bound, uid, ring, run_session, prepare, level
        )


def _hold(parsed: Parsed, uid: str) -> LockedDirectory | None:
    """The server directory; None where nobody asked for it and it cannot be had.

    A run that is one command and has its clients with it does not depend on being found.
    """
    if parsed.flag("--no-db") and not is_named(parsed):
        return None
    try:
        directory = server_directory(parsed.text("--server-dir"), os.environ)
        return directory.hold("server", uid, wait_seconds=1.0)
    except StartError as error:
        if is_named(parsed):
            raise
        log.warning("%s; the tasks of this run are kept in memory", error)
        return None


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
