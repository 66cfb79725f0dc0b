"""What a task database costs, and how that holds up with a million tasks in it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dispatch
import farm
import processes
from contestants import REFERENCE, SERVER_AND_CLIENT, SERVER_AND_CLIENT_SQLITE, write_lines
from processes import Process, RunFailed
from settings import Settings
from tables import Figure, Report, Table, median, number, spread
from throughput import Workload, ratios_of, rounds

TIMEOUT_SECONDS = 300.0
MILLION = 1_000_000
WANT = 100  # tasks in a message of the dispatch
NOTES = """\
- ``ours, SQLite`` is a server with default options and an empty database, and a client; every
  outcome that it accepts is on the disk. Ratios are taken within a round.
- The million rows are tasks and attempts of an earlier run, written by the harness.
- ``submit to start`` runs from the call of ``submit`` on an open connection to the start that the
  client notes for the task; the answer, the task being durable, comes before or after that.
- ``restart to first task`` runs from the start of ``server --restart`` to the first start of a task
  on a client that was started with it: both programs' own start is in it.
"""


def measure(settings: Settings) -> Report:
    if missing := farm.missing():
        return Report(skipped=[missing])
    report = Report()
    table = Table("Database: single figures", ("what", "median", "low-high", "unit"))
    for what in (_throughput, _dispatch, _submit, _starts, _restart):
        try:
            what(settings, report, table)
        except RunFailed as error:
            report.skipped.append(str(error))
            print(f"  {error}", file=sys.stderr, flush=True)
    report.tables.append(table)
    return report


def _note(
    report: Report, table: Table, what: str, found: list[float], limit: float, unit: str, most: bool
) -> None:
    table.rows.append((what, number(median(found)), spread(found, "{:,.2f}"), unit))
    report.figures.append(Figure(f"SQLite: {what}", median(found), limit, unit, at_most=most))
    print(f"  {what}: {median(found):,.2f} {unit}", file=sys.stderr, flush=True)


def _throughput(settings: Settings, report: Report, table: Table) -> None:
    """Beside xargs, and beside ourselves without a database."""
    who = [REFERENCE, SERVER_AND_CLIENT, SERVER_AND_CLIENT_SQLITE]
    mine = SERVER_AND_CLIENT_SQLITE.name
    for line, least in (("true", 1.0), ("/bin/true", 1.5)):
        found = rounds(Workload(line, line, 10_000), 2, who, settings, report)
        against = ratios_of(found, mine)
        _note(report, table, f"10,000 x {line}, against xargs", against, least, "x", False)
        beside = ratios_of(found, mine, SERVER_AND_CLIENT.name)
        _note(report, table, f"10,000 x {line}, against --no-db", beside, 0.9, "x", False)


def _dispatch(settings: Settings, report: Report, table: Table) -> None:
    """No-op tasks, with an empty database and with a full one, in turn."""
    tasks = settings.some(100_000, 30_000)
    lines = write_lines(settings.place / "lines", "true", tasks)
    rates: dict[str, list[float]] = {"empty": [], "a million rows": []}
    for _ in range(settings.rounds):
        for how, found in rates.items():
            own = farm.Farm(settings.place, keeps=True)
            own.begin_empty()
            if how != "empty":
                fill(own, MILLION, waiting=0, failed=0)
            found.append(_dispatch_once(own, lines, tasks))
    _note(report, table, "dispatch, empty", rates["empty"], 20_000, "tasks/s", False)
    both = zip(rates["a million rows"], rates["empty"], strict=True)
    held = [full / empty for full, empty in both]
    _note(report, table, "dispatch with a million rows, against empty", held, 0.85, "x", False)


def _dispatch_once(own: farm.Farm, lines: Path, tasks: int) -> float:
    answer = own.directory / "noop.json"
    with processes.ending(
        [own.start_server(lines), dispatch.noop_client(own, WANT, answer)]
    ) as both:
        processes.wait_all(both, TIMEOUT_SECONDS)
    said = json.loads(answer.read_text())
    if said["tasks"] != tasks:
        raise RunFailed(f"the client was given {said['tasks']} tasks of {tasks}")
    return float(tasks / said["seconds"])


def _submit(settings: Settings, report: Report, table: Table) -> None:
    """A million lines to a server that nobody works for, and how much it grows."""
    count = settings.some(MILLION, MILLION // 5)
    lines = write_lines(settings.place / "lines", "true", count)
    rates, sizes = [], []
    for _ in range(settings.rounds):
        own = farm.Farm(settings.place, keeps=True)
        own.begin_empty()
        with _idle_server(own) as server:
            began = time.perf_counter()
            _program(own, "submit", "-f", str(lines))
            rates.append(count / (time.perf_counter() - began))
            sizes.append(processes.memory_mb(server.pid))
    _note(report, table, "submit -f, lines", rates, 50_000, "lines/s", False)
    _note(report, table, "server's memory after it", sizes, 120, "MB", True)


def _starts(settings: Settings, report: Report, table: Table) -> None:
    """One task at a time, on a farm that has nothing to do."""
    own = farm.Farm(settings.place, keeps=True)
    own.begin_empty()
    with _idle_server(own), processes.ending([own.start_client(2)]):
        from hypershell.app.locate import ServerLocation, connect
        from hypershell.core.submission import SubmitOptions

        os.environ["HOME"] = own.environment()["HOME"]  # where the keys are
        proxy = connect(ServerLocation(str(own.site)), "a benchmark")
        began: dict[int, float] = {}
        for _ in range(settings.some(200, 30)):
            now = time.time()
            (task,) = proxy.submit([b"true"], SubmitOptions())
            began[task] = now
            time.sleep(0.03)
        _program(own, "wait", "--all")
    rows = _rows(own, "SELECT task, started_at FROM attempts")
    found = [(started - began[task]) * 1000 for task, started in rows if task in began]
    _note(report, table, "submit to start, idle farm", found, 15, "ms", True)


def _restart(settings: Settings, report: Report, table: Table) -> None:
    """Counting in a million tasks, and going on with the thousand that are left."""
    counts: list[float] = []
    commands: list[float] = []
    firsts: list[float] = []
    for _ in range(settings.rounds):
        own = farm.Farm(settings.place, keeps=True)
        own.begin_empty()
        fill(own, MILLION, waiting=1000, failed=1000)
        counts += [_count_failed(own) for _ in range(5)]
        commands += [_count_command(own) for _ in range(3)]
        began = time.time()
        with processes.ending([own.start_as("--restart"), own.start_client(2)]) as both:
            processes.wait_all(both, TIMEOUT_SECONDS)
        ((first,),) = _rows(own, f"SELECT min(started_at) FROM attempts WHERE started_at > {began}")
        firsts.append(first - began)
    _note(report, table, "list --count --failed, a million tasks", counts, 100, "ms", True)
    row = ("the same as a command", number(median(commands)), spread(commands, "{:,.0f}"), "ms")
    table.rows.append(row)
    _note(report, table, "restart to first task", firsts, 1.0, "s", True)


def fill(own: farm.Farm, tasks: int, waiting: int, failed: int) -> None:
    """Make a database of so many tasks, all but the last and the first of which have succeeded."""
    from hypershell.store.sql.engine import DATABASE_FILE, open_database, sqlite_url

    own.site.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = own.site / DATABASE_FILE
    open_database(sqlite_url(path)).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA synchronous = OFF")
        now, done = time.time(), tasks - waiting
        names = 'id, line, "group", rank, turn, run, scope, number, state, lease, attempt, failures'
        names += ", losses, max_retries, captured, cancelling, owed, added_at, cause"
        names += ", outcome_attempt"
        database.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {tasks}) "
            f"INSERT INTO tasks ({names}) SELECT i, CAST('true' AS BLOB), 0, 0, 2 * i, 1, 1, i, "
            f"CASE WHEN i > {done} THEN 0 WHEN i <= {failed} THEN 3 ELSE 2 END, i <= {done}, 1, "
            f"i <= {failed}, 0, -1, 0, 0, 0, {now}, CASE WHEN i <= {failed} THEN 1 END, "
            f"CASE WHEN i <= {done} THEN 1 END FROM n"
        )
        database.execute(
            "INSERT INTO attempts (task, number, client, slot, pid, started_at, seconds, ending, "
            "code, user_seconds, system_seconds, peak_kib) SELECT id, 1, '00000000', 1, 1, "
            f"{now}, 0.01, 0, state = 3, 0, 0, 0 FROM tasks WHERE id <= {done}"
        )
        database.execute("INSERT INTO causes VALUES (1, 0, 1, 'exit status 1', 'x')")
    database.close()


@contextlib.contextmanager
def _idle_server(own: farm.Farm) -> Iterator[Process]:
    """A server that waits for what is submitted, and that answers by now."""
    with processes.ending([own.start_as("--forever")]) as running:
        _program(own, "server", "wait")
        yield running[0]


def _program(own: farm.Farm, *words: str) -> None:
    """Run hyper-shell to its end; RunFailed."""
    done = subprocess.run(
        [*farm.PROGRAM, *words],
        env=own.environment(),
        capture_output=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise RunFailed(f"hyper-shell {' '.join(words)}: {done.stderr.decode()[-300:]}")


def _count_failed(own: farm.Farm) -> float:
    """What `list --count --failed` asks of a database, in ms."""
    from hypershell.core.query.selection import Selection
    from hypershell.core.state import TaskState
    from hypershell.store.sql.engine import DATABASE_FILE, open_database, sqlite_url
    from hypershell.store.sql.queries import Queries

    database = open_database(sqlite_url(own.site / DATABASE_FILE), read_only=True)
    began = time.perf_counter()
    found = Queries(database).count(Selection(states=(TaskState.FAILED,)))
    taken = (time.perf_counter() - began) * 1000
    database.close()
    if found != 1000:
        raise RunFailed(f"{found} failed tasks were counted, not 1000")
    return taken


def _count_command(own: farm.Farm) -> float:
    """The same as a command, in ms: from nothing running to its end."""
    began = time.perf_counter()
    _program(own, "list", "--count", "--failed")
    return (time.perf_counter() - began) * 1000


def _rows(own: farm.Farm, query: str) -> list[tuple[float, ...]]:
    with sqlite3.connect(own.site / "hyper-shell.db") as database:
        return database.execute(query).fetchall()
