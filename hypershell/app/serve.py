"""A run of a server: its directory, its end and its summary."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hypershell.access.endpoints import new_server_uid
from hypershell.access.errors import DirectoryLocked, shown
from hypershell.access.keys import WORKER, plane_secret
from hypershell.app.database import DatabaseOptions, begin, is_named
from hypershell.app.locate import Passphrases
from hypershell.app.opened_run import OpenedRun
from hypershell.app.origin import origin_here
from hypershell.app.planes import (
    BoundPlanes,
    Plan,
    PlaneOptions,
    access_from_file,
    facts_of,
    plan,
    predecessor_access,
    run_answers,
)
from hypershell.app.server_inputs import InputOptions, open_input_and_sink
from hypershell.core.errors import StartError
from hypershell.core.run_mode import RunMode
from hypershell.core.units import counted
from hypershell.runtime.signals import hand_over_signals
from hypershell.server.options import Ended, ServerOptions
from hypershell.server.server import Server
from hypershell.serverdir.directory import server_directory
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.run_record import Run

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """A server that others find by its directory, or by an access file that was prepared."""

    run: ServerOptions
    inputs: InputOptions
    database: DatabaseOptions
    planes: PlaneOptions
    server_dir: str | None = None
    access_file: str | None = None
    passphrases: Passphrases = field(default_factory=Passphrases)
    take_over: bool = False


class Hooks(NamedTuple):
    """What a caller adds to a run.

    `prepare` is called with the server before it runs, and may start threads. Where the server
    listens is logged at `level`.
    """

    prepare: Callable[[Server], None] = lambda server: None
    level: int = logging.INFO


_NO_HOOKS = Hooks()


def run_server(
    server: Server,
    started: Callable[[], None],
    ended: Callable[[], None] = lambda: None,
    prepare: Callable[[Server], None] = lambda server: None,
) -> int:
    """Run it with signals handled, say how it went, and return the exit status.

    `prepare` is called with it before it runs, and may start threads.
    """
    hand_over_signals(lambda sent: server.interrupt(sent.number))
    prepare(server)
    result = server.run(started, ended)
    for level, text in summary(result):
        log.log(level, "%s", text)
    return exit_status(result)


def exit_status(ended: Ended) -> int:
    """0 if all tasks succeeded, 1 if not, 128+n after signal n; raises what ended the run early.

    What could not be written counts like a task that failed.

    A server that was asked to stop does not answer for the tasks that it left unfinished.
    """
    if ended.failure is not None:
        raise ended.failure
    if ended.signal:
        return 128 + ended.signal
    if ended.error is not None:
        raise ended.error
    counts = ended.counts
    bad = counts.failed + counts.cancelled + counts.interrupted + ended.unwritten
    bad += len(ended.unwritten_output)
    if not ended.stopped:
        bad += counts.unfinished
    return 1 if bad else 0


def summary(ended: Ended) -> list[tuple[int, str]]:
    """The log lines about a run that has ended, each with its level."""
    counts, seconds = ended.counts, ended.seconds
    parts = [
        f"{counted(counts.total, 'task')}: {counts.succeeded} succeeded",
        f"{counts.failed} failed",
        f"{counts.retried} retried",
    ]
    if counts.unfinished:
        parts.append(f"{counts.unfinished} unfinished")
    rate = (counts.succeeded + counts.failed) / seconds if seconds else 0.0
    lines = [(logging.INFO, f"{', '.join(parts)}, in {seconds:.2f} s ({rate:.0f} tasks/s)")]
    if counts.unfinished or ended.unread_from:
        lines.append((logging.WARNING, f"unfinished: {_unfinished(ended)}"))
    if counts.blocked:
        text = (
            f"{counted(counts.blocked, 'task')} not started because an earlier group failed; "
            "`hyper-shell server --restart` retries that group"
        )
        lines.append((logging.WARNING, text))
    if ended.failed_numbers:
        text = f"failed: {_lines(ended.failed_numbers)}; -f PATH saves these lines"
        lines.append((logging.WARNING, text))
    lines += [(logging.ERROR, f"output of tasks was lost: {t}") for t in ended.unwritten_output]
    return lines


def _unfinished(ended: Ended) -> str:
    submitted = ended.counts.unfinished - len(ended.unfinished_numbers)
    named = [_lines(ended.unfinished_numbers)] if ended.unfinished_numbers else []
    named += [counted(submitted, "submitted task")] if submitted else []
    if ended.unread_from:
        named.append(f"the input was not read beyond line {ended.unread_from - 1}")
    return "; ".join(named)


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


def serve(options: ServeOptions) -> int:
    """Run a server to its end; the exit status. StartError, Refused, or what ended it early."""
    passphrases = options.passphrases
    passphrases.ring()  # report an unreadable passphrase file before anything else
    directory = server_directory(options.server_dir, os.environ)
    origin = origin_here(options.run.spec.cwd)
    prepared = access_from_file(options.access_file, passphrases)
    reader, sink = open_input_and_sink(
        options.inputs, directory.written_files, options.database.mode is not RunMode.FILE
    )
    uid = prepared.server_uid if prepared else new_server_uid()
    run = OpenedRun(options.run, reader, sink, uid, origin)
    try:
        held = directory.hold("server", uid, take_over=options.take_over, answers=run_answers)
    except DirectoryLocked as error:
        named = is_named(options.database, options.server_dir)
        if options.planes.key is None or reader is None or prepared or named:
            raise
        # Its clients have the key and the port, and need no directory to find it.
        log.warning(
            "%s; clients need the port and key of this server, and its tasks are kept in memory",
            error,
        )
        return _serve_alone(run, plan(options.planes))
    with held:
        predecessor = None if prepared else predecessor_access(held, passphrases)
        with plan(options.planes, prepared, predecessor).bind() as planes:
            session = begin(options.database, run, held.path)
            return serve_found(run, held, planes, passphrases, session)


def _serve_alone(run: OpenedRun, planned: Plan) -> int:
    """Run a server without a directory: the worker plane alone, for clients that have its key."""
    worker = planned.plans[WORKER]
    with worker.bind() as sock:
        planes = {WORKER: (sock, plane_secret(worker.key, WORKER))}

        def started() -> None:
            address = sock.getsockname()[:2]
            log.info(
                "server %s is listening on %s: port %d for workers (`hyper-shell client`)",
                run.uid,
                *address,
            )

        return run_server(Server(run.server_options(), run.reader, run.sink, planes), started)


def serve_found(
    run: OpenedRun,
    held: LockedDirectory,
    planes: BoundPlanes,
    passphrases: Passphrases,
    session: "RunSession | None",
    hooks: Hooks = _NO_HOOKS,
) -> int:
    """Run a server that others find by the directory that is held; the exit status."""
    access = planes.access(run.uid)
    facts = facts_of(access, held.path, None if session is None else session.database.where)
    records: list[Run] = []

    def started() -> None:
        records.append(held.start_run(access, passphrases.ring().new_seal()))
        log.log(
            hooks.level,
            "server %s is listening on %s: port %d for workers (`hyper-shell client`), "
            "port %d for commands (`submit`, `list`, ...); directory %s",
            run.uid,
            *planes.worker.getsockname()[:2],
            planes.client.getsockname()[1],
            shown(held.path),
        )

    def ended() -> None:
        try:
            for record in records:
                record.end("it was stopped" if server.told_to_end() else "all tasks had finished")
        except StartError as error:
            # How the run went matters more than that its end could not be recorded.
            log.warning("%s; the next server here will report that this one died", error)
        held.release()

    server = Server(
        run.server_options(session), run.reader, run.sink, planes.secrets(), facts, session
    )
    return run_server(server, started, ended, hooks.prepare)
