"""A run of a server together with its clients, on this machine."""

import logging

from hypershell.access.keys import WORKER, new_key, plane_secret
from hypershell.cli.client import slots
from hypershell.cli.launch import Launcher, LocalLauncher
from hypershell.cli.logs import set_up
from hypershell.cli.options import Parsed
from hypershell.cli.planes import PlannedPlane
from hypershell.cli.serving import (
    key_from,
    open_streams,
    run_server,
    server_options,
)
from hypershell.client.process import check_shell
from hypershell.core.errors import ClientsEnded
from hypershell.server.server import Server

_LEAVE_SECONDS = 5.0


def run_cluster(parsed: Parsed) -> int:
    """Run a cluster by its parsed options; the exit status."""
    options = server_options(parsed)
    number = parsed.whole("--clients", default=1, lowest=1, highest=1000)
    client_arguments = _client_arguments(parsed)
    set_up(parsed)
    if not parsed.flag("--verbose"):
        logging.getLogger("hypershell.server").setLevel(logging.WARNING)
    key = key_from(parsed) or new_key()
    reader, sink = open_streams(parsed, parsed.text("FILE") or "-")
    port = parsed.whole("--port", "--worker-port", default=0, lowest=0, highest=65535)
    bind_host = parsed.text("--bind") or "localhost"
    sock = PlannedPlane(bind_host, None, port, key, others_do=False).bind()
    launcher = LocalLauncher(number, tasks_print_to_stderr=parsed.flag("--print"))
    host, port = sock.getsockname()[:2]
    where = ["-H", _reachable(host), "-p", str(port)]
    server = Server(options, reader, sink, {WORKER: (sock, plane_secret(key, WORKER))})
    return _run(server, launcher, [*client_arguments, *where], key)


def _run(server: Server, launcher: Launcher, arguments: list[str], key: str) -> int:
    def ended(status: int) -> None:
        # After the end of a run nobody listens to this any more.
        server.give_up(ClientsEnded(status=status))

    launcher.start(arguments, key, ended)
    try:
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


def _reachable(host: str) -> str:
    """Where a client of this machine finds a server that listens on all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
