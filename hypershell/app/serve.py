"""A run of a server: its directory, its end and its summary."""

import logging
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hypershell.access.endpoints import new_server_uid
from hypershell.access.errors import shown
from hypershell.access.seal import Seal
from hypershell.app.database import DatabaseOptions, begin, input_path
from hypershell.app.homes import unfinished_runs
from hypershell.app.locate import Passphrases
from hypershell.app.opened_run import OpenedRun
from hypershell.app.origin import origin_here
from hypershell.app.planes import (
    BoundPlanes,
    PlaneOptions,
    PreparedAccess,
    access_from_file,
    facts_of,
    plan,
    predecessor_access,
    run_answers,
)
from hypershell.app.server_inputs import InputOptions, open_input_and_sink
from hypershell.app.starting import (
    Beginning,
    Served,
    hold_home,
    input_digest,
    serve_in_turn,
)
from hypershell.client.traces import Traces
from hypershell.core.errors import StartError
from hypershell.core.run_mode import RunMode
from hypershell.core.units import counted
from hypershell.runtime.signals import hand_over_signals
from hypershell.server.input.lines import STDIN
from hypershell.server.options import Ended, ServerOptions
from hypershell.server.server import Server
from hypershell.serverdir.directory import server_directory
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.run_record import Run

if TYPE_CHECKING:
    from hypershell.store.sql.session import RunSession

log = logging.getLogger(__name__)

KEPT_RUNS = 20
"""Run directories that stay, unless --keep-runs says otherwise."""


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
    keep_runs: int = KEPT_RUNS
    is_dry_run: bool = False


class Hooks(NamedTuple):
    """What a caller adds to a run.

    `prepare` is called with the server before it runs, and may start threads. Where the server
    listens is logged at `level`. The directories of the last `keep` runs stay.
    """

    prepare: Callable[[Server], None] = lambda server: None
    level: int = logging.INFO
    keep: int = KEPT_RUNS


def run_server(
    server: Server,
    started: Callable[[], None],
    ended: Callable[[], None] = lambda: None,
    prepare: Callable[[Server], None] = lambda server: None,
    resume: str = "",
) -> int:
    """Run it with signals handled, say how it went, and return the exit status.

    `prepare` is called with it before it runs, and may start threads. `resume` is the command that
    continues the run.
    """
    hand_over_signals(lambda sent: server.interrupt(sent.number))
    prepare(server)
    result = server.run(started, ended)
    for level, text in summary(result, resume):
        log.log(level, "%s", text)
    return exit_status(result)


def exit_status(ended: Ended) -> int:
    """0 if all tasks succeeded, 1 if not, 128+n after signal n; raises what ended the run early.

    What could not be written counts like a task that failed. A run that was ended by its --halt
    rule has failed, unless the rule is for successes.

    A server that was asked to stop does not answer for the tasks that it left unfinished.
    """
    if ended.failure is not None:
        raise ended.failure
    if ended.signal:
        return 128 + ended.signal
    if ended.error is not None:
        raise ended.error
    if ended.halted is not None:
        lost = bool(ended.unwritten or ended.unwritten_output)
        return 0 if ended.halted.is_success and not lost else 1
    counts = ended.counts
    bad = counts.failed + counts.cancelled + counts.interrupted + ended.unwritten
    bad += len(ended.unwritten_output)
    if not ended.stopped:
        bad += counts.unfinished
    return 1 if bad else 0


def summary(ended: Ended, resume: str = "") -> list[tuple[int, str]]:
    """The log lines about a run that has ended, each with its level.

    `resume` says by which command it continues, empty if nothing of it is kept.
    """
    counts, seconds = ended.counts, ended.seconds
    parts = [
        f"{counted(counts.total, 'task')}: {counts.succeeded} succeeded",
        f"{counts.failed} failed",
    ]
    if counts.cancelled:
        parts.append(f"{counts.cancelled} cancelled")
    parts.append(f"{counts.retried} retried")
    if counts.unfinished:
        parts.append(f"{counts.unfinished} unfinished")
    rate = (counts.succeeded + counts.failed) / seconds if seconds else 0.0
    lines = [(logging.INFO, f"{', '.join(parts)}, in {seconds:.2f} s ({rate:.0f} tasks/s)")]
    if counts.unfinished or ended.unread_from:
        advice = f"; {resume} continues with them" if resume else ""
        lines.append((logging.WARNING, f"unfinished: {_unfinished(ended)}{advice}"))
    if counts.blocked:
        text = f"{counted(counts.blocked, 'task')} not started because an earlier group failed"
        text += "; `hyper-shell server --restart` retries that group" if resume else ""
        lines.append((logging.WARNING, text))
    if ended.failed_numbers:
        text = f"failed: {_lines(ended.failed_numbers)}; -f PATH saves these lines"
        lines.append((logging.WARNING, text))
    lines += [(logging.ERROR, f"output of tasks was lost: {t}") for t in ended.unwritten_output]
    return lines


def resume_command(run: OpenedRun, session: "RunSession | None") -> str:
    """The command that continues a run that ended early, in words; empty without a database."""
    if session is None:
        return ""
    if run.reader is None or run.reader.path == STDIN:
        return "`hyper-shell server --restart`"
    if not run.reader.maker.is_plain:
        return "the same command with --resume"
    return f"`hyper-shell server {shlex.quote(run.reader.path)} --resume`"


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
    beginning = Beginning(
        directory=server_directory(options.server_dir, os.environ),
        options=options.database,
        path=input_path(options.inputs.path),
        origin=origin_here(options.run.spec.cwd),
        take_over=options.take_over,
        answers=run_answers,
    )
    prepared = access_from_file(options.access_file, passphrases)
    return serve_in_turn(beginning, lambda home: _serve_in(home, options, beginning, prepared))


def _serve_in(
    home: str, options: ServeOptions, beginning: Beginning, prepared: PreparedAccess | None
) -> Served:
    reader, sink = open_input_and_sink(
        options.inputs,
        beginning.directory.written_files,
        options.database.mode is not RunMode.FILE,
    )
    uid = prepared.access.server_uid if prepared else new_server_uid()
    run = OpenedRun(options.run, reader, sink, uid, beginning.origin)
    with hold_home(beginning, home, uid) as held:
        found = prepared.access if prepared else None
        predecessor = None if prepared else predecessor_access(held, options.passphrases)
        with plan(options.planes, found, predecessor).bind() as planes:
            session = begin(options.database, run, held)
            seal = prepared.text if prepared else options.passphrases.ring().new_seal()
            return serve_found(run, held, planes, seal, session, Hooks(keep=options.keep_runs))


def serve_found(
    run: OpenedRun,
    held: LockedDirectory,
    planes: BoundPlanes,
    seal: Seal | bytes,
    session: "RunSession | None",
    hooks: Hooks,
) -> Served:
    """Run a server that others find by the home that is held.

    `seal` closes its access file, or is the whole file as it was made beforehand.
    """
    access = planes.access(run.uid)
    facts = facts_of(access, held, None if session is None else session.database.where)
    server = Server(
        run.server_options(session),
        run.reader,
        run.sink,
        planes.secrets(),
        facts,
        session,
        Traces(),
    )
    path = input_path(None if run.reader is None else run.reader.path)
    records: list[Run] = []

    def started() -> None:
        digest = input_digest(path)
        records.append(held.start_run(access, seal, input_digest=digest, in_memory=session is None))
        _prune(held, hooks.keep)
        _say_where(run.uid, held, planes, hooks.level)

    def ended() -> None:
        _note_end(records, "it was stopped" if server.told_to_end() else "all tasks had finished")
        held.release()

    status = run_server(server, started, ended, hooks.prepare, resume_command(run, session))
    return Served(status, server.told_to_end())


def _say_where(uid: str, held: LockedDirectory, planes: BoundPlanes, level: int) -> None:
    """Log where a server can be reached."""
    log.log(
        level,
        "server %s is listening on %s: port %d for workers (`hyper-shell client`), "
        "port %d for commands (`submit`, `list`, ...); directory %s",
        uid,
        *planes.worker.getsockname()[:2],
        planes.client.getsockname()[1],
        shown(held.path),
    )


def _note_end(records: list[Run], reason: str) -> None:
    """Leave a clean end in the record of a run, if it came to have one."""
    try:
        for record in records:
            record.end(reason)
    except StartError as error:
        # How the run went matters more than that its end could not be recorded.
        log.warning("%s; the next server here will report that this one died", error)


def _prune(held: LockedDirectory, keep: int) -> None:
    """Remove the directories of old runs; what cannot be removed stays, and is no obstacle."""
    try:
        held.prune(keep, lambda home: unfinished_runs(held.path, home))
    except StartError as error:
        log.warning("the directories of old runs stay: %s", error)
