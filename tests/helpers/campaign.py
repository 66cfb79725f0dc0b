"""Trials in which a server is killed at random moments, and what is left is counted.

Each task appends its own line to the file `ran`, by one write; some of them fail. What the trial
looks at is that file, the task database, and the file of failed lines.
"""

import time
from collections import Counter
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from random import Random

from sqlalchemy import select

from hypershell.core.ending import Ending
from hypershell.store.sql.engine import Database, open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseMissing
from hypershell.store.sql.maintenance import complaints
from hypershell.store.sql.schema import ATTEMPTS, RUNS, STATE_NUMBERS, STATES, TASKS
from tests.helpers.farm import Farm, Process
from tests.helpers.waiting import until

TABLE = {
    "trials": "trials",
    "kills": "kills",
    "attempts": "attempts recorded",
    "resumed": "resumed within the input",
    "replaced": "clients that had to be replaced",
    "lost": "tasks lost",
    "unfounded": "succeeded without having run",
    "doubled": "recorded twice",
    "rerun": "run more than once, in flight at a kill",
    "unsaid": "run more often than the attempts say",
    "missing": "lines missing in the -f file",
    "surplus": "lines doubled in the -f file",
    "broken": "broken rules of `db check`",
}
"""What is counted, and how the table says it."""

MUST_BE_ZERO = ("lost", "unfounded", "doubled", "unsaid", "missing", "surplus", "broken")

_OPTIONS = ("--lease", 2, "--grace", 0.5, "-f", "failed")


@dataclass
class Count:
    """What became of the tasks of one trial, or of many."""

    trials: int = 0
    kills: int = 0
    attempts: int = 0
    resumed: int = 0
    replaced: int = 0
    lost: int = 0
    unfounded: int = 0
    doubled: int = 0
    rerun: int = 0
    unsaid: int = 0
    missing: int = 0
    surplus: int = 0
    broken: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def is_good(self) -> bool:
        """Whether nothing happened that must not."""
        return not any(getattr(self, name) for name in MUST_BE_ZERO)

    def table(self) -> str:
        """As text, a row a line."""
        rows = [(TABLE[field.name], getattr(self, field.name)) for field in fields(self)]
        return "\n".join(f"  {what:<40} {number:>8}" for what, number in rows)


class Trial:
    """One file of tasks, two clients, and a server that is killed once or twice before the end."""

    def __init__(self, farm: Farm, seed: int, tasks: int, url: str | None = None) -> None:
        self._farm = farm
        self._random = Random(seed)
        self._tasks = tasks
        self._database = ["--database", url] if url else []
        self._url = url or sqlite_url(farm.folder / ".hyper-shell" / "hyper-shell.db")
        self._clients: list[Process] = []
        self._seen = time.monotonic()  # when a client was last alive
        self._count = Count(trials=1)
        self._file = farm.write_lines(self._lines())

    def run(self, seconds: float = 120.0) -> Count:
        """The whole trial; AssertionError if it does not end, or ends in another way."""
        self._farm.free_port()
        server = self._start(self._file)
        self._tend_clients()
        for moment in self._moments():
            moment(server)
            server.kill()
            self._count.kills += 1
            server = self._recover()
        deadline = time.monotonic() + seconds
        while server.is_running:
            assert time.monotonic() < deadline, f"not over after {seconds:g} s: {server}"
            self._tend_clients()
            time.sleep(0.05)
        assert 1 == server.wait(), server
        return self._look()

    # Before the end.

    def _lines(self) -> list[str]:
        """The tasks; in every fourth trial among so much else that reading them takes a while."""
        padding = ["# nothing"] * (100 if self._random.random() < 0.25 else 0)
        lines = []
        for number in range(self._tasks):
            fails = self._random.random() < 0.1
            lines += [f"echo {number} >> ran" + "; exit 3" * fails, *padding]
        return lines

    def _start(self, *how: object) -> Process:
        return self._farm.start("server", *how, "-p", self._farm.port, *_OPTIONS, *self._database)

    def _tend_clients(self) -> None:
        """Two clients, the same ones as long as they live or until all is done.

        A server may tell them so, and be killed before it ends: the next needs clients again.
        """
        now = time.monotonic()
        if any(client.is_running for client in self._clients):
            self._seen = now
        gone = 0 if now - self._seen < 2.0 else None
        kept = [client for client in self._clients if client.popen.poll() in (None, gone)]
        died = [client for client in self._clients if client.popen.poll() not in (None, 0)]
        self._count.replaced += len(died)
        while len(kept) < 2:
            kept.append(self._farm.start_client("-N", 2))
        self._clients = kept

    def _moments(self):
        """When the server is killed: anywhere in the run or near its start, and in recovery."""
        if self._random.random() < 0.25:
            yield lambda server: time.sleep(self._random.uniform(0, 1.0))
        else:
            yield self._wait_within_run
        if self._random.random() < 1 / 3:
            yield lambda server: time.sleep(self._random.uniform(0, 1.2))

    def _wait_within_run(self, server: Process) -> None:
        number = self._random.randrange(self._tasks)
        ran = self._farm.folder / "ran"

        def have_run() -> bool:
            self._tend_clients()
            return not server.is_running or (ran.exists() and _lines_in(ran) >= number)

        until(have_run, 60, f"{number} tasks ran")
        time.sleep(self._random.uniform(0, 0.03))

    def _recover(self) -> Process:
        """Start the server again, as its user would: from where it was."""
        run = self._last_run()
        if run is None:
            return self._start(self._file)
        if run.input_ended:
            return self._start("--restart")
        self._count.resumed += 1
        return self._start(self._file, "--resume")

    def _last_run(self):
        try:
            database = open_database(self._url, read_only=True)
        except DatabaseMissing:
            return None
        try:
            with database.reading() as connection:
                return connection.execute(select(RUNS).order_by(RUNS.c.id.desc())).first()
        finally:
            database.close()

    # After it.

    def _look(self) -> Count:
        database = open_database(self._url, read_only=True)
        try:
            self._count_outcomes(database)
            found = list(complaints(database))
        finally:
            database.close()
        self._count.broken = len(found)
        return self._count

    def _count_outcomes(self, database: Database) -> None:
        count = self._count
        with database.reading() as connection:
            tasks = connection.execute(select(TASKS)).all()
            attempts = connection.execute(select(ATTEMPTS)).all()
        number_of = {task.id: int(bytes(task.line).split()[1]) for task in tasks}
        runs = Counter(int(line) for line in self._farm.read("ran"))
        printed = Counter(int(line.split()[1]) for line in self._farm.read("failed"))
        tried = Counter(number_of[a.task] for a in attempts)
        failures = Counter(
            number_of[a.task] for a in attempts if (a.ending, a.code != 0) == (Ending.EXITED, True)
        )
        told = Counter(number_of[a.task] for a in attempts if a.ending == Ending.EXITED)
        final = Counter(number_of[t.id] for t in tasks if STATES[t.state].value in _FINAL)
        succeeded = {number_of[t.id] for t in tasks if t.state == _SUCCEEDED}
        same = Counter((a.client, a.pid, a.started_at) for a in attempts if a.pid)
        count.attempts = len(attempts)
        count.lost = sum(not final[number] for number in range(self._tasks))
        count.unfounded = sum(not runs[number] for number in succeeded)
        count.doubled = len(tasks) - len(final) + (same - Counter(set(same))).total()
        count.rerun = (runs - told).total()
        count.unsaid = (runs - tried).total()
        count.missing = (failures - printed).total()
        count.surplus = (printed - failures).total()


_FINAL = {"succeeded", "failed"}
_SUCCEEDED = next(n for state, n in STATE_NUMBERS.items() if state.value == "succeeded")


def _lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n")
