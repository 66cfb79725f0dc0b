"""A run of a server together with its clients, on this machine.

The clients are started as soon as there is a socket for them to connect to: they and the server
start up side by side.
"""

import logging
import os
from collections.abc import Callable
from socket import socket
from typing import NamedTuple

from hypershell.access.endpoints import new_server_uid
from hypershell.access.keys import CLIENT, WORKER, new_key, plane_secret
from hypershell.app.bind import bind, check_key
from hypershell.app.database import DatabaseOptions, begin, input_path, is_named
from hypershell.app.locate import Passphrases
from hypershell.app.opened_run import OpenedRun
from hypershell.app.origin import check_directory, origin_here
from hypershell.app.planes import BoundPlanes, PlannedPlane
from hypershell.app.serve import KEPT_RUNS, Hooks, run_server, serve_found
from hypershell.app.server_inputs import InputOptions, open_input_and_sink
from hypershell.app.starting import Beginning, Served, hold_home, serve_in_turn
from hypershell.client.descriptors import check_slots
from hypershell.client.options import ClientOptions
from hypershell.client.outputs import check_outputs
from hypershell.client.traces import Traces
from hypershell.core import environment
from hypershell.core.errors import ClientsEnded, StartError
from hypershell.core.origin import Origin
from hypershell.core.run_mode import RunMode
from hypershell.launch.launcher import Launcher
from hypershell.launch.local import LocalLauncher
from hypershell.runtime import clock
from hypershell.runtime.initial_environment import added_by_python
from hypershell.runtime.signals import (
    hand_over_signals,
    hand_over_stops,
    hold_stops,
    stop_this_process,
)
from hypershell.server.options import ServerOptions
from hypershell.server.server import Server
from hypershell.serverdir.directory import ServerDirectory, server_directory
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.homes import has_database
from hypershell.serverdir.written_files import WrittenFiles
from hypershell.wire.address import shown_host

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 5.0
"""Seconds that clients have to say that their tasks stand still."""

_LEAVE_SECONDS = 1.0
"""Seconds that clients which know of the end have. One that has not even joined is notified."""

_STOP_SECONDS = 10.0
"""Seconds that clients which are told to stop have beside the grace time: more than they need to
find out themselves that they cannot.
"""

_HURRIED_SECONDS = 12.0
"""Seconds that all of it may take after a further signal."""


_AS_LONG_AS_WE_LIVE = "999999999"
"""How long our own clients wait for a server that is slow: they end with us, and only with us."""


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
    keep_runs: int = KEPT_RUNS
    is_dry_run: bool = False


def run_cluster(options: ClusterOptions) -> int:
    """Run a cluster to its end; the exit status. StartError, or what ended it early."""
    cwd = options.run.spec.cwd
    check_directory(cwd)
    origin = origin_here(cwd)
    # What a client would end with is an error of the start, before anything is read.
    check_slots(options.client.most_tasks)
    check_outputs(options.client.out_path, options.client.err_path)
    directory = _directory(options)
    if directory is None:
        return _serve_with_clients(options, origin, lambda uid: None).status
    beginning = Beginning(
        directory,
        options.database,
        input_path(options.inputs.path),
        origin,
        may_share=True,
        wait_seconds=1.0,
    )
    return serve_in_turn(
        beginning,
        lambda home: _serve_with_clients(
            options, origin, lambda uid: _hold(options, beginning, home, uid)
        ),
    )


def _serve_with_clients(
    options: ClusterOptions, origin: Origin, hold: Callable[[str], LockedDirectory | None]
) -> Served:
    """Start the clients, and run the server that they join in the home that `hold` returns."""
    key = options.key or new_key()
    reader, sink = open_input_and_sink(
        options.inputs,
        lambda: _written_files(options.server_dir),
        options.database.mode is not RunMode.FILE,
    )
    run = OpenedRun(options.run, reader, sink, new_server_uid(), origin)
    with bind(options.bind_host, options.port, any_port_will_do=False) as sock:
        check_key(key, sock, options.bind_host)
        launcher = LocalLauncher(
            options.clients, tasks_print_to_stderr=options.inputs.prints_failures
        )
        where = ["-H", _reachable(sock), "-p", str(sock.getsockname()[1])]
        where += ["--wait", _AS_LONG_AS_WE_LIVE]
        variables = _client_variables(options) | {environment.RUN: run.uid}
        launcher.prepare([*options.client_arguments, *where], key, variables)
        launcher.start()
        hold_stops()  # the clients must not be left alone
        try:
            return _run(options, run, sock, key, launcher, hold(run.uid))
        finally:
            hand_over_signals(lambda _: _hurry(launcher))
            launcher.wait(_LEAVE_SECONDS, options.run.grace + _STOP_SECONDS)


def _hurry(launcher: Launcher) -> float:
    """A signal came while the server has ended and its clients have not."""
    launcher.hurry()
    return _HURRIED_SECONDS


def _written_files(server_dir: str | None) -> WrittenFiles:
    """The files that runs of the server directory wrote; none where there is no directory."""
    try:
        return server_directory(server_dir, os.environ).written_files()
    except StartError:
        return WrittenFiles(None)


def _run(
    options: ClusterOptions,
    run: OpenedRun,
    sock: socket,
    key: str,
    launcher: Launcher,
    held: LockedDirectory | None,
) -> Served:
    def prepare(server: Server) -> None:
        launcher.watch(lambda status: server.give_up(ClientsEnded(status=status)))
        hand_over_stops(lambda: _stop(server, launcher))

    if held is None:
        planes = {WORKER: (sock, plane_secret(key, WORKER))}
        server = Server(run.server_options(), run.reader, run.sink, planes, traces=Traces())
        return Served(run_server(server, lambda: None, prepare=prepare), server.told_to_end())
    level = logging.INFO if options.is_verbose else logging.DEBUG
    hooks = Hooks(prepare, level, options.keep_runs)
    with held, bind("localhost", 0, any_port_will_do=True) as client:
        seal = Passphrases().ring().new_seal()
        plans = {
            WORKER: PlannedPlane(options.bind_host, None, 0, key, others_do=False),
            CLIENT: PlannedPlane("localhost", None, 0, new_key(), others_do=True),
        }
        bound = BoundPlanes(sock, client, plans)
        session = begin(options.database, run, held)
        return serve_found(run, held, bound, seal, session, hooks)


def _stop(server: Server, launcher: Launcher) -> None:
    """Ctrl-Z: stop the tasks of our own clients, then this process; continue all when it runs on.

    The pause is no part of their lease: the server, which counts it, stood still as well. Clients
    that joined from elsewhere keep theirs, and have stopped their tasks if it passed.
    """
    server.pause()
    own = launcher.pause(_PAUSE_SECONDS)
    stop_this_process()
    # Before the server counts it: the lease of a client must end first on its own side.
    heard_at = clock.boottime()
    server.go_on(own)
    launcher.go_on(heard_at)


def _directory(options: ClusterOptions) -> ServerDirectory | None:
    """The server directory; None if nobody asked for it and there can be none."""
    named = is_named(options.database, options.server_dir)
    if options.database.in_memory and not named:
        return None
    try:
        return server_directory(options.server_dir, os.environ)
    except StartError as error:
        if named:
            raise
        log.warning("%s; the tasks of this run are kept in memory", error)
        return None


def _hold(
    options: ClusterOptions, beginning: Beginning, home: str, uid: str
) -> LockedDirectory | None:
    """The home of the run; None if nobody asked for the directory and it cannot be used.

    A run that is one command and has its clients with it does not depend on being found. But where
    there is a task database, a later --resume would take an earlier run of that for this one.
    """
    try:
        return hold_home(beginning, home, uid)
    except StartError as error:
        is_new = not has_database(beginning.directory.path, home)
        if is_named(options.database, options.server_dir) or not is_new:
            raise
        log.warning("%s; the tasks of this run are kept in memory", error)
        return None


def _client_variables(options: ClusterOptions) -> dict[str, str | None]:
    """What is changed in the environment of the clients, and so of their tasks.

    They get what this process was given, but for a password that was given to this process alone.
    """
    variables: dict[str, str | None] = {os.fsdecode(name): None for name in added_by_python()}
    if options.server_dir is not None:
        path = server_directory(options.server_dir, os.environ).path
        variables[environment.SERVER_DIR] = str(path)
    url = options.database.url or os.environ.get(environment.DATABASE) or ""
    if not options.database.in_memory and url.startswith("postgresql"):
        variables[environment.PGPASSWORD] = None
    return variables


def _reachable(sock: socket) -> str:
    """Where a client of this machine finds a server that may listen on all addresses."""
    host = shown_host(sock.getsockname())
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
