"""Which tasks a run is: its own uid, the last run, all of them; and what a restart takes on."""

import os
from pathlib import Path

import pytest

from hypershell.core.ending import Ending
from hypershell.core.origin import Origin
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.core.run_mode import RunMode
from hypershell.core.run_name import ALL_RUNS, LAST_RUN
from hypershell.core.submission import SubmitOptions
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.offline import Offline
from hypershell.store.sql.peek import Peek
from hypershell.store.sql.queries import Queries
from hypershell.store.sql.runs import Begun, Making, begin_run
from tests.helpers.stored import CLIENT, StoredRun

HERE, ELSEWHERE = b"/here", b"/else"


class Runs:
    """A database in which runs begin, each with some tasks, and end."""

    def __init__(self, path: Path) -> None:
        self.url = sqlite_url(path)

    def begin(
        self,
        uid: str,
        *lines: bytes,
        mode: RunMode = RunMode.FILE,
        made_in: bytes = HERE,
        path: bytes = b"-",
        takes: str = ALL_RUNS,
    ) -> Begun:
        """A run that begins, adds its lines as a submission to it, and dies."""
        database = open_database(self.url)
        making = Making(uid, path, 30.0, Origin(made_in, os.fsdecode(made_in)), takes=takes)
        begun = begin_run(database, mode, making)
        if lines:
            ids = self._submit(Offline(database), lines, b"")
            with database.writing() as connection:
                marks = ", ".join(map(str, ids))
                connection.exec_driver_sql(
                    f"UPDATE tasks SET run = {begun.id}, scope = {begun.id} WHERE id IN ({marks})"
                )
        database.close()
        return begun

    def submit(self, *lines: bytes, made_in: bytes = HERE) -> None:
        """A submission while no server runs."""
        database = open_database(self.url)
        self._submit(Offline(database), lines, made_in)
        database.close()

    def lines(self, run: str) -> list[bytes]:
        """The lines of a run's tasks."""
        database = open_database(self.url, read_only=True)
        rows, _ = Queries(database).rows(Selection(run=run), ["line"])
        database.close()
        return [row[0] for row in rows]

    def retry(self, run: str) -> int:
        """Let the tasks of a run wait again; how many."""
        database = open_database(self.url)
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE tasks SET state = 3")
        changed = Offline(database).retry(Selection(run=run))
        database.close()
        return changed.changed

    @staticmethod
    def _submit(offline: Offline, lines: tuple[bytes, ...], made_in: bytes) -> list[int]:
        return offline.submit([list(lines)], SubmitOptions(made_in=made_in))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A database without any run."""
    return Runs(tmp_path / "farm.db")


def test_without_any_start_the_last_run_is_what_waits(runs):
    """Submissions that no server has taken on."""
    runs.submit(b"one", b"two")

    assert [b"one", b"two"] == runs.lines(LAST_RUN)


def test_the_last_run_is_what_the_newest_start_took_on(runs):
    """Its own tasks, what it took over, and what was submitted since: nobody takes for done what
    waits for the next. Not what others have, nor what it left alone."""
    runs.begin("first", b"a")
    runs.submit(b"submitted")
    runs.begin("second", b"b", mode=RunMode.RESTART)
    runs.submit(b"left alone")
    runs.begin("third", b"c")
    runs.submit(b"later")

    assert [b"c", b"later"] == runs.lines(LAST_RUN)
    assert [b"a", b"submitted", b"b"] == runs.lines("second")
    assert [b"a"] == runs.lines("first")
    assert 6 == len(runs.lines(ALL_RUNS))


def test_a_run_that_is_resumed_is_the_last_and_has_both_uids(runs):
    """Though it began before the other; what was shown under its first uid still is."""
    runs.begin("first", b"a", path=b"/data/a")
    runs.begin("second", b"b", path=b"/data/b")
    runs.begin("third", mode=RunMode.RESUME, path=b"/data/a")

    assert [b"a"] == runs.lines(LAST_RUN) == runs.lines("first") == runs.lines("third")
    assert [b"b"] == runs.lines("second")


def test_what_is_retried_without_a_server_stays_in_its_run(runs):
    """It is still shown where it was, and resumed with it."""
    runs.begin("first", b"a")

    changed = runs.retry(LAST_RUN)

    assert 1 == changed
    assert [b"a"] == runs.lines(LAST_RUN)


@pytest.mark.parametrize(
    ("takes", "lines"),
    [
        ("", [b"mine", b"submitted"]),
        (LAST_RUN, [b"other"]),
        (ALL_RUNS, [b"mine", b"submitted", b"sent there", b"other"]),
        ("mine", [b"mine"]),
    ],
)
def test_a_restart_takes_on_what_was_made_here_or_is_named(runs, takes, lines):
    """And the rest is left as it was, and counted."""
    runs.begin("mine", b"mine")
    runs.submit(b"submitted")
    runs.submit(b"sent there", made_in=ELSEWHERE)
    runs.begin("other", b"other", made_in=ELSEWHERE)

    begun = runs.begin("again", mode=RunMode.RESTART, takes=takes)

    assert lines == runs.lines(LAST_RUN)
    assert 4 - len(lines) == begun.leftovers


def test_submissions_to_a_server_belong_to_where_they_were_made_as_well(runs):
    """A restart there takes them, though the server ran elsewhere."""
    begun = runs.begin("server", b"line", made_in=ELSEWHERE)
    runs.submit(b"from here")
    database = open_database(runs.url)
    with database.writing() as connection:
        change = f"UPDATE tasks SET run = {begun.id}, scope = {begun.id}"
        connection.exec_driver_sql(change)
    database.close()

    runs.begin("again", mode=RunMode.RESTART, takes="")

    assert [b"from here"] == runs.lines(LAST_RUN)


def test_what_says_nothing_of_where_it_was_made_is_taken_on_anywhere(runs):
    """As earlier releases did with all that they wrote: no line is left behind in silence."""
    runs.begin("old", b"line", made_in=b"")
    runs.submit(b"submitted", made_in=b"")

    runs.begin("again", mode=RunMode.RESTART, takes="")

    assert [b"line", b"submitted"] == runs.lines(LAST_RUN)


def test_a_peek_tells_the_newest_start_and_what_is_unfinished(runs):
    """In the order of starts; lines that were not read are unfinished, too."""
    runs.begin("first", path=b"/data/a")
    runs.begin("second", b"b", path=b"-")
    runs.begin("third", path=b"-")
    peek = Peek(runs.url)

    newest, of_file = peek.last_start(), peek.last_start(b"/data/a")

    assert newest is not None
    assert of_file is not None
    assert ("third", "first") == (newest.uid, of_file.uid)
    assert {"first", "second"} == peek.unfinished()
    assert peek.has_run("second")
    assert not peek.has_run("nobody")
    assert peek.has_work(Making("", b"", 0.0, Origin(HERE), takes=""))
    assert not peek.has_work(Making("", b"", 0.0, Origin(ELSEWHERE), takes=""))
    assert peek.has_ids((1, 99))
    assert not peek.has_ids((98, 99))


@pytest.mark.parametrize("mode", [RunMode.RESUME, RunMode.RESTART, RunMode.FOREVER])
def test_what_an_interrupted_task_has_used_up_goes_on_to_count(tmp_path, mode):
    """A line that kills clients does not have as many more of them each time a run goes on."""
    url = sqlite_url(tmp_path / "t.db")
    with StoredRun(url, policy=Policy(max_retries=3)) as run:
        run.add(b"a")
        for ending, code in ((Ending.LOST, 0), (Ending.EXITED, 1), (Ending.INTERRUPTED, 0)):
            (task,) = run.store.lease(1)
            outcome = Outcome(task.id, task.lease, ending, code)
            run.store.record([(CLIENT, [outcome])], stopping=True)

    with StoredRun(url, mode) as run:
        (task,) = run.store.lease(1)

    assert (1, 1, 4) == (task.failures, task.losses, task.attempt)
