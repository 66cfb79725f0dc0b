"""A run of a server together with its clients, on this machine.

The clients are started as soon as there is a socket for them to connect to: they and the server
start up side by side.
"""

import logging
import os
from socket import socket
from typing import NamedTuple

from hypershell.access.endpoints import new_server_uid
from hypershell.access.keys import CLIENT, WORKER, new_key, plane_secret
from hypershell.app.bind import bind, check_key
from hypershell.app.database import DatabaseOptions, begin, is_named
from hypershell.app.locate import Passphrases
from hypershell.app.planes import BoundPlanes, PlannedPlane
from hypershell.app.serve import Hooks, OpenedRun, run_server, serve_found
from hypershell.app.server_inputs import InputOptions, open_input_and_sink
from hypershell.client.descriptors import check_slots
from hypershell.client.options import ClientOptions
from hypershell.client.outputs import check_outputs
from hypershell.core.errors import ClientsEnded, StartError
from hypershell.core.run_mode import RunMode
from hypershell.launch.launcher import Launcher
from hypershell.launch.local import LocalLauncher
from hypershell.server.options import ServerOptions
from hypershell.server.server import Server
from hypershell.serverdir.directory import server_directory
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.written_files import WrittenFiles

log = logging.getLogger(__name__)

_LEAVE_SECONDS = 1.0
"""Seconds that clients which know of the end have. One that has not even joined is notified."""


class ClusterOptions(NamedTuple):
    """A server and its clients.

    `clients` of them are started, each as `client` says, with the words `client_arguments` after
    `hyper-shell client`. The worker plane listens on `bind_host`; port 0 is any free one. Without a
    `key` one is made. `is_verbose` has where the server listens logged as loudly as a server alone
    does.
    """

    run: ServerOptions
    inputs: InputOptions
    database: DatabaseOptions
    clients: int
    client: ClientOptions
    client_arguments: tuple[str, ...]
    server_dir: str | None = None
    bind_host: str = "localhost"
    port: int = 0
    key: str | None = None
    is_verbose: bool = False


def run_cluster(options: ClusterOptions) -> int:
    """Run a cluster to its end; the exit status. StartError, or what ended it early."""
    key = options.key or new_key()
    # What a client would end with is an error of the start, before anything is read.
    check_slots(options.client.slots)
    check_outputs(options.client.out_path, options.client.err_path)
    reader, sink = open_input_and_sink(
        options.inputs,
        lambda: _written_files(options.server_dir),
        options.database.mode is not RunMode.FILE,
    )
    run = OpenedRun(options.run, reader, sink, new_server_uid())
    with bind(options.bind_host, options.port, any_port_will_do=False) as sock:
        check_key(key, sock, options.bind_host)
        launcher = LocalLauncher(
            options.clients, tasks_print_to_stderr=options.inputs.prints_failures
        )
        where = ["-H", _reachable(sock), "-p", str(sock.getsockname()[1])]
        launcher.prepare([*options.client_arguments, *where], key)
        launcher.start()
        try:
            return _run(options, run, sock, key, launcher)
        finally:
            launcher.wait(_LEAVE_SECONDS)


def _written_files(server_dir: str | None) -> WrittenFiles:
    """The files that runs of the server directory wrote; none where there is no directory."""
    try:
        return server_directory(server_dir, os.environ).written_files()
    except StartError:
        return WrittenFiles(None)


def _run(
    options: ClusterOptions, run: OpenedRun, sock: socket, key: str, launcher: Launcher
) -> int:
    def prepare(server: Server) -> None:
        launcher.watch(lambda status: server.give_up(ClientsEnded(status=status)))

    held = _hold(options, run.uid)
    if held is None:
        planes = {WORKER: (sock, plane_secret(key, WORKER))}
        server = Server(run.options, run.reader, run.sink, planes)
        return run_server(server, lambda: None, prepare=prepare)
    hooks = Hooks(prepare, logging.INFO if options.is_verbose else logging.DEBUG)
    passphrases = Passphrases()
    passphrases.ring()
    with held, bind("localhost", 0, any_port_will_do=True) as client:
        plans = {
            WORKER: PlannedPlane(options.bind_host, None, 0, key, others_do=False),
            CLIENT: PlannedPlane("localhost", None, 0, new_key(), others_do=True),
        }
        bound = BoundPlanes(sock, client, plans)
        session = begin(options.database, run.options.lease, run.reader, held.path, run.uid)
        return serve_found(run, held, bound, passphrases, session, hooks)


def _hold(options: ClusterOptions, uid: str) -> LockedDirectory | None:
    """The server directory; None if nobody asked for it and it cannot be had.

    A run that is one command and has its clients with it does not depend on being found.
    """
    named = is_named(options.database, options.server_dir)
    if options.database.in_memory and not named:
        return None
    try:
        directory = server_directory(options.server_dir, os.environ)
        return directory.hold("server", uid, wait_seconds=1.0)
    except StartError as error:
        if named:
            raise
        log.warning("%s; the tasks of this run are kept in memory", error)
        return None


def _reachable(sock: socket) -> str:
    """Where a client of this machine finds a server that may listen on all addresses."""
    host = str(sock.getsockname()[0])
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
