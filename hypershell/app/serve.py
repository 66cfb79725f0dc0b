"""A run of a server from the command line: its directory, its end and its summary."""

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from hypershell.access.endpoints import new_server_uid
from hypershell.access.errors import DirectoryLocked, shown
from hypershell.access.keyring import Keyring, keyring
from hypershell.access.keys import WORKER, plane_secret
from hypershell.app.database import begin, check_database_options, is_named
from hypershell.app.planes import (
    BoundPlanes,
    Plan,
    access_from_file,
    facts_of,
    plan,
    predecessor_access,
    run_answers,
)
from hypershell.app.server_inputs import key_from, open_input_and_sink, server_options
from hypershell.cli.options import Parsed
from hypershell.cli.output.logs import set_up
from hypershell.core.errors import StartError
from hypershell.core.units import counted
from hypershell.runtime.signals import hand_over_signals
from hypershell.server.input.lines import LineReader
from hypershell.server.options import Ended, ServerOptions
from hypershell.server.reports.sink import LineSink
from hypershell.server.server import Server
from hypershell.serverdir.directory import server_directory
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.run_record import Run

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)


def run_server(
    server: Server,
    started: Callable[[], None],
    ended: Callable[[], None] = lambda: None,
    prepare: Callable[[Server], None] = lambda server: None,
) -> int:
    """Run it with signals handled, say how it went, and return the exit status.

    `prepare` is called with it before it runs, and may start threads.
    """
    hand_over_signals(server.interrupt)
    prepare(server)
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
    parts = [
        f"{counted(counts.total, 'task')}: {counts.succeeded} succeeded",
        f"{counts.failed} failed",
    ]
    parts.append(f"{counts.retried} retried")
    if counts.unfinished:
        parts.append(f"{counts.unfinished} unfinished")
    rate = done / seconds if seconds else 0.0
    log.info("%s, in %.2f s (%.0f tasks/s)", ", ".join(parts), seconds, rate)
    if counts.unfinished or ended.unread_from:
        submitted = counts.unfinished - len(ended.unfinished_numbers)
        named = [_lines(ended.unfinished_numbers)] if ended.unfinished_numbers else []
        named += [f"{submitted} that were submitted"] if submitted else []
        if ended.unread_from:
            named.append(f"the input was not read beyond line {ended.unread_from - 1}")
        log.warning("unfinished: %s", "; ".join(named))
    if counts.blocked:
        log.warning(
            "%s not started because an earlier group failed; `hyper-shell server --restart` "
            "retries that group",
            counted(counts.blocked, "task"),
        )
    if ended.failed_numbers:
        log.warning("failed: %s; -f PATH saves such lines", _lines(ended.failed_numbers))


def _lines(numbers: tuple[int, ...]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {ranges(numbers)}"


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
    if parsed.flag("--forever"):
        for name in ("FILE", "--restart", "--resume"):
            if parsed.is_given(name):
                raise parsed.error(f"--forever and {name} cannot be used together")
    check_database_options(parsed)
    set_up(parsed)
    key = key_from(parsed)
    ring = keyring(parsed.text("--passphrase-file"), os.environ)
    directory = server_directory(parsed.text("--server-dir"), os.environ)
    prepared = access_from_file(parsed, ring)
    reader, sink = open_input_and_sink(parsed, options)
    uid = prepared.server_uid if prepared else new_server_uid()
    take_over = parsed.flag("--take-over")
    try:
        held = directory.hold("server", uid, take_over=take_over, answers=run_answers)
    except DirectoryLocked as error:
        if key is None or reader is None or prepared or is_named(parsed):
            raise
        # Its clients have the key and the port, and need no directory to find it.
        log.warning(
            "%s; clients need the port and key of this server, and its tasks are kept in memory",
            error,
        )
        return _serve_alone(options, reader, sink, plan(parsed, None, None, key), uid)
    with held:
        planned = plan(parsed, prepared or predecessor_access(held, ring), prepared, key)
        with planned.bind() as planes:
            run_session = begin(parsed, options, reader, held.path, uid)
            return serve_found(options, reader, sink, held, planes, uid, ring, run_session)


def _serve_alone(
    options: ServerOptions, reader: LineReader | None, sink: LineSink, planned: Plan, uid: str
) -> int:
    """Run a server without a directory: the worker plane alone, for clients that have its key."""
    worker = planned.plans[WORKER]
    with worker.bind() as sock:
        planes = {WORKER: (sock, plane_secret(worker.key, WORKER))}

        def started() -> None:
            log.info(
                "server %s is listening on %s: port %d for workers (`hyper-shell client`)",
                uid,
                *sock.getsockname()[:2],
            )

        return run_server(Server(options, reader, sink, planes), started)


def serve_found(
    options: ServerOptions,
    reader: LineReader | None,
    sink: LineSink,
    held: LockedDirectory,
    planes: BoundPlanes,
    uid: str,
    ring: Keyring,
    run_session: "RunSession | None",
    prepare: Callable[[Server], None] = lambda server: None,
    level: int = logging.INFO,
) -> int:
    """Run a server that others find by the directory that is held.

    `prepare` is called with it before it runs; where it listens is logged at this level.
    """
    access = planes.access(uid)
    facts = facts_of(access, held.path, None if run_session is None else run_session.database.where)
    runs: list[Run] = []

    def started() -> None:
        runs.append(held.start_run(access, ring.new_seal()))
        log.log(
            level,
            "server %s is listening on %s: port %d for workers (`hyper-shell client`), "
            "port %d for commands (`submit`, `list`, ...); directory %s",
            uid,
            *planes.worker.getsockname()[:2],
            planes.client.getsockname()[1],
            shown(held.path),
        )

    def ended() -> None:
        try:
            for run in runs:
                run.end("it was stopped" if server.told_to_end() else "all tasks had finished")
        except StartError as error:
            # How the run went is of more weight than that its end is not on the disk.
            log.warning("%s; the next server will take this one for dead", error)
        held.release()

    server = Server(options, reader, sink, planes.secrets(), facts, run_session)
    return run_server(server, started, ended, prepare)
