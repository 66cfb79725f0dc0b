"""A run of a server from the command line: its options, its files, its end and its summary."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from socket import socket

from hypershell.access.keys import WORKER, new_key, plane_secret
from hypershell.cli.listening import bind, check_key
from hypershell.cli.logs import set_up
from hypershell.cli.options import Parsed
from hypershell.cli.texts import DEFAULT_PORT
from hypershell.core.errors import FileUnwritable
from hypershell.core.task import Policy
from hypershell.server.failures import LineSink, open_sink
from hypershell.server.lines import LineReader, open_input
from hypershell.server.server import Ended, Server, ServerOptions

log = logging.getLogger(__name__)


def server_options(parsed: Parsed) -> ServerOptions:
    """The options of a run; UsageError."""
    if parsed.flag("--print") and parsed.text("--failures") is not None:
        raise parsed.error("--print and -f exclude each other")
    lease = parsed.seconds("--lease", default=30, lowest=0.5)
    grace = parsed.seconds("--grace", default=5)
    if grace > lease / 2:
        raise parsed.error(f"--grace {grace:g} is more than half of --lease {lease:g}")
    return ServerOptions(
        bundlesize=parsed.whole("--bundlesize", default=1, lowest=1),
        bundlewait=_bundlewait(parsed),
        policy=Policy(
            parsed.whole("--max-retries", default=0, lowest=0),
            parsed.whole("--max-lost", default=3, lowest=1),
            parsed.flag("--eager"),
        ),
        lease=lease,
        grace=grace,
    )


def _bundlewait(parsed: Parsed) -> float:
    # docopt fills in the default of -w, which must not contradict a -t that was given.
    if parsed.text("-t") is not None and parsed.text("--bundlewait") == "5":
        return parsed.seconds("-t", default=5)
    return parsed.seconds("--bundlewait", "-t", default=5)


def key_from(parsed: Parsed) -> str | None:
    """The key that was given, by -k or in the environment."""
    key = parsed.text("--auth")
    if key is None:
        key = os.environ.get("HYPERSHELL_AUTH")
    if key == "":
        raise parsed.error("the key is empty", "give -k or HYPERSHELL_AUTH a key, or leave it out")
    return key


def bind_for(parsed: Parsed, key: str | None, default_port: int = DEFAULT_PORT) -> socket:
    """The socket of the worker plane, with a key that is good enough for its address."""
    asked = parsed.text("--port", "--worker-port")
    port = parsed.whole("--port", "--worker-port", default=default_port, lowest=0, highest=65535)
    host = parsed.text("--bind") or "localhost"
    # Clients with the key come to the default port: if it is not ours they would meet another.
    sock = bind(host, port, any_port_will_do=asked is None and key is None)
    try:
        if key is not None:
            check_key(key, sock, host)
    except BaseException:
        sock.close()
        raise
    return sock


def open_streams(parsed: Parsed, path: str) -> tuple[LineReader, LineSink]:
    """The input and where failed lines go; StartError."""
    descriptor = open_input(path)
    failures = parsed.text("--failures")
    try:
        if failures is not None and _is_same_file(descriptor, failures):
            reason = "it is the file that is read"
            raise FileUnwritable(path=failures, reason=reason, option="-f")
        return LineReader(descriptor, path), open_sink(failures, parsed.flag("--print"))
    except BaseException:
        os.close(descriptor)
        raise


def _is_same_file(descriptor: int, path: str) -> bool:
    try:
        one, two = os.fstat(descriptor), os.stat(path)
    except (OSError, ValueError):
        return False
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)


def run_server(server: Server, started: Callable[[], None]) -> int:
    """Run it with signals handled, say how it went, and return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: server.interrupt(received))
    ended = server.run(started)
    _say_summary(ended)
    if ended.failure is not None:
        raise ended.failure
    if ended.signal:
        return 128 + ended.signal
    if ended.error is not None:
        raise ended.error
    counts = ended.counts
    bad = counts.failed + counts.cancelled + counts.unfinished + ended.unwritten
    return 1 if bad else 0


def _say_summary(ended: Ended) -> None:
    counts, seconds = ended.counts, ended.seconds
    done = counts.succeeded + counts.failed
    parts = [f"{counts.total} tasks: {counts.succeeded} succeeded", f"{counts.failed} failed"]
    parts.append(f"{counts.retried} retried")
    if counts.unfinished:
        parts.append(f"{counts.unfinished} unfinished")
    rate = done / seconds if seconds else 0.0
    log.info("%s, in %.2f s (%.0f tasks/s)", ", ".join(parts), seconds, rate)
    if ended.unfinished_numbers:
        log.warning("unfinished: lines %s", ranges(ended.unfinished_numbers))


def ranges(numbers: tuple[int, ...], most: int = 20) -> str:
    """Sorted numbers as ranges: 1-3, 7, 9-12; only the first ranges if there are many."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    text = ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in found[:most])
    return text if len(found) <= most else f"{text} and {len(found) - most} more ranges"


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
