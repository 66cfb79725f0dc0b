"""A run of a server from the command line: its options, its files, its end and its summary."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from hypershell.access.directory import server_directory
from hypershell.access.doors import new_server_uid
from hypershell.access.held import Held
from hypershell.access.keyring import Keyring, keyring
from hypershell.access.run import Run
from hypershell.cli.logs import set_up
from hypershell.cli.options import Parsed
from hypershell.cli.planes import (
    BoundPlanes,
    access_from_file,
    facts_of,
    plan,
    predecessor_access,
    run_answers,
)
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


def run_server(
    server: Server, started: Callable[[], None], ended: Callable[[], None] = lambda: None
) -> int:
    """Run it with signals handled, say how it went, and return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: server.interrupt(received))
    result = server.run(started, ended)
    _say_summary(result)
    if result.failure is not None:
        raise result.failure
    if result.signal:
        return 128 + result.signal
    if result.error is not None:
        raise result.error
    counts = result.counts
    bad = counts.failed + counts.cancelled + counts.interrupted + result.unwritten
    if not result.stopped:
        bad += counts.unfinished
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
    """Run a server by its parsed options, found by its directory; the exit status."""
    options = server_options(parsed)
    forever = parsed.flag("--forever") or (parsed.flag("start") and parsed.text("FILE") is None)
    if parsed.flag("--forever") and parsed.text("FILE") is not None:
        raise parsed.error("--forever and FILE exclude each other")
    set_up(parsed)
    key = key_from(parsed)
    ring = keyring(parsed.text("--passphrase-file"), os.environ)
    directory = server_directory(parsed.text("--server-dir"), os.environ)
    prepared = access_from_file(parsed, ring)
    reader, sink = open_input_and_sink(parsed, forever)
    uid = prepared.server_uid if prepared else new_server_uid()
    take_over = parsed.flag("--take-over")
    with directory.hold("server", uid, take_over=take_over, answers=run_answers) as held:
        planned = plan(parsed, prepared or predecessor_access(held, ring), prepared, key)
        with planned.bind() as planes:
            return _serve_found(options, reader, sink, held, planes, uid, ring)


def _serve_found(
    options: ServerOptions,
    reader: LineReader | None,
    sink: LineSink,
    held: Held,
    planes: BoundPlanes,
    uid: str,
    ring: Keyring,
) -> int:
    """Run a server that others find by the directory that is held."""
    access = planes.access(uid)
    facts = facts_of(access, held.path)
    runs: list[Run] = []

    def started() -> None:
        runs.append(held.start_run(access, ring.new_seal()))
        log.info(
            "server %s listens on %s port %d for clients, port %d for all else; directory %s",
            uid,
            *planes.worker.getsockname()[:2],
            planes.client.getsockname()[1],
            held.path,
        )

    def ended() -> None:
        for run in runs:
            run.end("it was told to" if server.told_to_end() else "all was done")
        held.release()

    server = Server(options, reader, sink, planes.secrets(), facts)
    return run_server(server, started, ended)


def open_input_and_sink(parsed: Parsed, forever: bool) -> tuple[LineReader | None, LineSink]:
    """The input, none for a server that runs what is submitted, and where failed lines go."""
    if forever:
        return None, open_sink(parsed.text("--failures"), parsed.flag("--print"))
    path = parsed.text("FILE")
    if path is None and sys.stdin is not None and sys.stdin.isatty():
        print("hyper-shell: reading commands from this terminal; end with Ctrl-D", file=sys.stderr)
    return open_streams(parsed, path or "-")
