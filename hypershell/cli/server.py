"""`hyper-shell server`: hands out the lines of a file as tasks and captures failures."""

import logging
import sys

from hypershell.access.keys import WORKER, new_key, plane_secret
from hypershell.cli.logs import OPTIONS as LOG_OPTIONS
from hypershell.cli.logs import set_up
from hypershell.cli.options import Parsed, parse
from hypershell.cli.serving import (
    ADDRESS_OPTIONS,
    TASK_OPTIONS,
    bind_for,
    key_from,
    open_streams,
    run_server,
    server_options,
)
from hypershell.core.errors import UsageError
from hypershell.server.server import Server

log = logging.getLogger(__name__)

USAGE = f"""\
Usage:
  hyper-shell server [FILE] [options]

Read commands, one a line, from FILE or from standard input (- or no FILE), and hand them out as tasks
to the clients that join. Blank lines and lines that begin with # are skipped. The server ends when
the input has ended and every task is final.

{TASK_OPTIONS}
{ADDRESS_OPTIONS}
{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server tasks.txt -p 50001 -f failed.txt

  $ hyper-shell server tasks.txt --print | hyper-shell server - -p 50002

  $ hyper-shell server tasks.txt -r 2 -b 100 -H 0.0.0.0
"""


def run(arguments: list[str]) -> int:
    """Run a server; the exit status."""
    if "--restart" in arguments:
        raise UsageError(
            "--restart needs a task database, and this server keeps its tasks in memory (--no-db)",
            "server",
            "run the lines that are left as a new FILE: failed ones are in what -f wrote",
        )
    parsed = parse(USAGE, "server", arguments)
    if parsed is None:
        return 0
    return serve(parsed)


def serve(parsed: Parsed) -> int:
    """Run a server by its parsed options."""
    options = server_options(parsed)
    path = parsed.text("FILE") or "-"
    if path == "-" and parsed.text("FILE") is None and sys.stdin is not None and sys.stdin.isatty():
        print("hyper-shell: reading commands from this terminal; end with Ctrl-D", file=sys.stderr)
    set_up(parsed)
    key = key_from(parsed)
    reader, sink = open_streams(parsed, path)
    sock = bind_for(parsed, key)
    made_key = key is None
    key = key or new_key()
    server = Server(options, reader, sink, sock, plane_secret(key, WORKER))

    def started() -> None:
        host, port = sock.getsockname()[:2]
        log.info("listening on %s port %d", host, port)
        if made_key:
            # Not by the log: that may end in a file that others read.
            print(
                f"hyper-shell: clients join with HYPERSHELL_AUTH={key} and -p {port}",
                file=sys.stderr,
                flush=True,
            )

    return run_server(server, started)
