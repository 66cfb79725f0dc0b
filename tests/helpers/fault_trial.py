"""A run in which something is broken on purpose, and what became of its tasks.

Each task holds a lock as long as it lives, notes its start and its end, and ends with a status that
is known beforehand; this compares it with what the database says when all is over.

FAULT_TRIALS is how many trials each fault has (10 if it says nothing), FAULT_SEED the first seed.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.schema import STATES, TASKS
from tests.helpers.farm import Farm, Process
from tests.helpers.fault_table import Row

TRIALS = int(os.environ.get("FAULT_TRIALS") or 10)
SEED = int(os.environ.get("FAULT_SEED") or 1)


class Trial:
    """One file of tasks, of which every tenth fails, and one blow."""

    def __init__(self, farm: Farm, fault: str, seed: int, tasks: int) -> None:
        self.farm = farm
        self.chance = random.Random(seed)
        self._fault = fault
        self._codes = [3 if self.chance.random() < 0.1 else 0 for _ in range(tasks)]
        self.path = farm.write_lines(self._line(n, code) for n, code in enumerate(self._codes))
        self._struck_at = 0.0
        self._seconds: tuple[float, ...] = ()

    def _line(self, number: int, code: int) -> str:
        seconds = self.chance.uniform(0.1, 0.8)
        return (
            f"exec 9> lock-{number}; flock -n 9 || echo {number} >> twice; "
            f"echo {number} >> starts; sleep {seconds:.2f}; echo {number} >> ends; exit {code}"
        )

    def wait_for_moment(self) -> None:
        """Come back somewhere in the first half of the run."""
        number = self.chance.randint(4, len(self._codes) // 2)
        self.farm.wait_for_lines("starts", number, 60)
        time.sleep(self.chance.uniform(0, 0.2))

    def struck(self) -> None:
        """Something is broken from now on."""
        self._struck_at = time.monotonic()

    def noticed(self, process: Process, pattern: str, seconds: float = 60.0) -> None:
        """Wait until a process says that something is wrong."""
        process.expect(pattern, seconds)
        self._seconds += (time.monotonic() - self._struck_at,)

    def look(self, url: str | None = None) -> Row:
        """What became of the tasks, when all is over."""
        orphans = len(self.farm.tasks())
        states = _states(url or sqlite_url(self.farm.folder / ".hyper-shell" / "hyper-shell.db"))
        ends = Counter(map(int, self.farm.read("ends")))
        lost = wrong = 0
        for number, code in enumerate(self._codes):
            found = states.get(number, set())
            final = found & {"succeeded", "failed"}
            lost += not final
            deserved = "failed" if code else "succeeded"
            wrong += bool(final) and (final != {deserved} or not ends[number])
        return Row(
            self._fault,
            trials=1,
            tasks=len(self._codes),
            lost=lost,
            twice=sum(count > 1 for count in ends.values()),
            overlapping=len(self.farm.read("twice")),
            wrong=wrong,
            orphans=orphans,
            seconds=self._seconds,
        )


def _states(url: str) -> dict[int, set[str]]:
    """The states of each line's tasks, by the number in the line."""
    database = open_database(url, read_only=True)
    found: dict[int, set[str]] = {}
    try:
        with database.reading() as connection:
            for task in connection.execute(select(TASKS)):
                number = int(bytes(task.line).split(b"lock-")[1].split(b";")[0])
                found.setdefault(number, set()).add(STATES[task.state].value)
    finally:
        database.close()
    return found


Blow = Callable[[Trial], None]
"""Breaks something in a trial, repairs it, and comes back when the run is over."""


def strike_again_and_again(
    fault: str, blow: Blow, folder: Path, trials: int = TRIALS, tasks: int = 40
) -> Row:
    """Trials of a fault, each in a farm of its own that must be empty at the end."""
    row = Row(fault)
    for seed in range(SEED, SEED + trials):
        (folder / str(seed)).mkdir()
        farm = Farm(folder / str(seed))
        try:
            trial = Trial(farm, fault, seed, tasks)
            blow(trial)
            row = row.plus(trial.look())
        finally:
            farm.close()
    return row
