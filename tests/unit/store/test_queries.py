"""What is asked of a task database, and changed in it without a server, in both kinds of them."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypershell.core.query.selection import UNFINISHED, Changed, Selection
from hypershell.core.state import TaskState
from hypershell.core.submission import SubmitOptions
from hypershell.core.task_spec import TaskSpec
from hypershell.store.sql.engine import Database, initialize_database, open_database, sqlite_url
from hypershell.store.sql.offline import Offline
from hypershell.store.sql.queries import Queries, check_fields
from hypershell.store.sql.schema import ATTEMPTS, CAUSES, CLIENTS, RUNNING, STATE_NUMBERS, TASKS


class Filled:
    """A database with tasks 1 to 6, of which the last three did not succeed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.queries = Queries(database)
        self.offline = Offline(database)
        self.ids = self.offline.submit(
            [[b"a", b"b", b"c"], [b"d", b"e", b"f"]], SubmitOptions({"k": "v"})
        )
        with database.writing() as connection:
            client = {"id": "c", "host": "node1", "pid": 1, "slots": 1, "joined_at": 0.0}
            connection.execute(CLIENTS.insert().values(client))
            cause = {"id": 1, "ending": 0, "code": 3, "text": "exit status 3\nbad N", "digest": "x"}
            connection.execute(CAUSES.insert().values(cause))
        self._end(1, TaskState.SUCCEEDED, 0)
        self._end(2, TaskState.RUNNING, None)
        with database.writing() as connection:
            place = {"task": 2, "client": "c", "slot": 1, "pid": 5, "started_at": 10.0}
            connection.execute(RUNNING.insert().values(place))
        self._end(4, TaskState.FAILED, 3)
        self._end(5, TaskState.FAILED, 3)
        self._end(6, TaskState.INTERRUPTED, None)

    def _end(self, task_id: int, state: TaskState, code: int | None) -> None:
        values: dict[str, object] = {"state": STATE_NUMBERS[state]}
        if state is TaskState.FAILED:
            values["cause"] = 1
        attempt = {"task": task_id, "number": 1, "client": "c", "slot": 1, "pid": 5}
        attempt |= {"started_at": 10.0, "seconds": 1.5, "ending": 0, "code": code}
        attempt |= {"user_seconds": 0.5, "system_seconds": 0.25, "peak_kib": 4}
        with self.database.writing() as connection:
            if code is not None:
                values["outcome_attempt"] = 1
                connection.execute(ATTEMPTS.insert().values({**attempt, "err": b"bad 7\n"}))
            connection.execute(TASKS.update().where(TASKS.c.id == task_id).values(**values))

    def states(self) -> dict[int, str]:
        """The state of each task."""
        rows, _ = self.queries.rows(Selection(), ["id", "state"])
        return dict(map(tuple, rows))


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filled]:
    """Each of the two databases."""
    url = sqlite_url(tmp_path / "tasks.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        initialize_database(url)
    database = open_database(url)
    yield Filled(database)
    database.close()


def test_tasks_are_counted_by_what_holds_for_them(filled: Filled) -> None:
    """States, ids, tags, causes."""
    count = filled.queries.count

    assert 6 == count(Selection())
    assert 2 == count(Selection(states=(TaskState.FAILED,)))
    assert 3 == count(Selection(states=UNFINISHED))
    assert 2 == count(Selection(ids=(3, 4, 99)))
    assert 6 == count(Selection(tags=(("k", ""), ("k", "v"))))
    assert 0 == count(Selection(tags=(("k", "w"),)))
    assert 2 == count(Selection(cause=1))
    assert 0 == count(Selection(run="nobody"))


def test_rows_come_in_pages(filled: Filled) -> None:
    """Each begins behind the last id of the one before."""
    first, last = filled.queries.rows(Selection(), ["id"], 0, 4)
    second, end = filled.queries.rows(Selection(), ["id"], last, 4)

    assert ([[1], [2], [3], [4]], 4) == (first, last)
    assert ([[5], [6]], 0) == (second, end)


def test_a_task_is_told_whole(filled: Filled) -> None:
    """With each attempt; what it does not have is None."""
    failed, waiting = filled.queries.task(4), filled.queries.task(3)

    assert failed is not None
    assert waiting is not None
    assert (b"d", "failed", 3, "node1", {"k": "v"}) == tuple(
        failed[name] for name in ("line", "state", "exit_status", "host", "tags")
    )
    (attempt,) = failed["attempts"]
    assert (10.0, 11.5, 0.75, 4096, b"bad 7\n") == tuple(
        attempt[name] for name in ("started", "ended", "cpu", "memory", "stderr")
    )
    assert (None, None, [], None) == tuple(
        waiting[name] for name in ("exit_status", "host", "attempts", "output")
    )
    assert filled.queries.task(99) is None


def test_failures_are_told_by_cause(filled: Filled) -> None:
    """How many, where, and the last of them as an example."""
    (cause,) = filled.queries.failures(Selection())

    assert {
        "cause": 1,
        "count": 2,
        "text": "exit status 3\nbad N",
        "hosts": ["node1"],
        "example": 5,
        "line": b"e",
        "stderr": b"bad 7\n",
    } == cause
    assert [] == filled.queries.failures(Selection(ids=(1, 2)))


def test_what_is_not_final_is_found_and_how_the_rest_ended(filled: Filled) -> None:
    """For who waits."""
    assert [2, 3, 6] == filled.queries.unfinished(Selection(), 10)
    assert (3, 2) == filled.queries.outcome(Selection())
    assert (0, 1) == filled.queries.outcome(Selection(ids=(1, 4)))


def test_long_lines_are_searched_one_at_a_time(filled: Filled) -> None:
    """However many there are: what a search holds in memory does not grow with the tasks."""
    filled.offline.submit([30 * [2**20 * b"x" + b"!"]], SubmitOptions())
    tracemalloc.start()

    number = filled.queries.count(Selection(where="line ~ 'x!$'"))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 30 == number
    assert peak < 8 * 2**20


CHANGES = {
    "cancel": (Changed(3, 1, 1), {1: "succeeded", 2: "running", 3: "cancelled", 6: "cancelled"}),
    "retry": (Changed(1, 0, 3), {1: "succeeded", 2: "running", 3: "waiting", 6: "waiting"}),
    "delete": (Changed(2, 0, 2), {2: "running", 3: "waiting"}),
}


@pytest.mark.parametrize("verb", CHANGES)
def test_tasks_are_changed_by_a_pattern_while_no_server_runs(filled: Filled, verb: str) -> None:
    """Those for which all of the condition holds, and no others."""
    changed, states = CHANGES[verb]
    which = Selection(where="line ~ '^[a-c]$' or state = interrupted and not line ~ '(?i)[DE]'")

    found = getattr(filled.offline, verb)(which)

    assert changed == found
    assert {4: "failed", 5: "failed"} | states == filled.states()


def test_only_fields_that_there_are_can_be_asked_for() -> None:
    """And any tag."""
    assert ["id", "tag.x"] == check_fields(["id", "tag.x"])
    for fields in ([], ["nope"], [3], "id", None):
        with pytest.raises(ValueError, match="field"):
            check_fields(fields)


def test_ids_that_do_not_follow_each_other_are_not_without_number(filled: Filled) -> None:
    """Those that do may be many."""
    assert 6 == filled.queries.count(Selection(ids=tuple(range(1, 100_001))))
    assert 3 == filled.queries.count(Selection(ids=tuple(range(1, 20_000, 2))))
    with pytest.raises(ValueError, match="not consecutive"):
        filled.queries.count(Selection(ids=tuple(range(1, 80_000, 2))))


def test_what_is_submitted_waits_for_the_next_server(filled: Filled) -> None:
    """With ids behind all that were given, in no run."""
    ids = filled.offline.submit(
        [[b"g"]], SubmitOptions(group=2, priority=5, spec=TaskSpec(max_retries=1))
    )

    task = filled.queries.task(ids[0])

    assert [7] == ids
    assert task is not None
    assert (b"g", "waiting", None, 2, 5) == tuple(
        task[name] for name in ("line", "state", "run", "group", "priority")
    )


def test_a_submission_is_taken_whole_or_not_at_all(filled: Filled) -> None:
    """A line that cannot be run, and nothing is there."""
    with pytest.raises(ValueError, match="cannot be run"):
        filled.offline.submit([[b"good"], [b"bad\0"]], SubmitOptions())

    assert 6 == filled.queries.count(Selection())


def test_tasks_are_cancelled_while_no_server_runs(filled: Filled) -> None:
    """One that a client may still run is ended when that comes back."""
    changed = filled.offline.cancel(Selection(ids=(1, 2, 3, 4, 6)))

    with filled.database.reading() as connection:
        query = TASKS.select().where(TASKS.c.cancelling)
        ending = [row.id for row in connection.execute(query)]
    assert Changed(3, 1, 2) == changed
    assert [2] == ending
    assert ("cancelled", "cancelled", "running") == tuple(filled.states()[i] for i in (3, 6, 2))


def test_what_was_handed_out_and_has_not_begun_is_waiting(filled: Filled) -> None:
    """To whoever counts, lists or cancels; a client that comes back with it is told to drop it."""
    with filled.database.writing() as connection:
        sent = STATE_NUMBERS[TaskState.SENT]
        connection.execute(TASKS.update().where(TASKS.c.id == 3).values(state=sent))
    waiting, running = Selection(states=(TaskState.WAITING,)), Selection(where="state = running")

    counts = [filled.queries.count(each) for each in (waiting, running)]
    counts += [filled.queries.count(Selection(where=f"state {op} waiting")) for op in ("=", "!=")]
    changed = filled.offline.cancel(waiting)

    assert [1, 1, 1, 5] == counts
    assert "waiting" == filled.states()[3]
    assert Changed(1, 0, 0) == changed


def test_of_a_task_that_runs_is_told_where_and_since_when(filled: Filled) -> None:
    """And nothing of the attempt before it, which ended otherwise."""
    with filled.database.writing() as connection:
        values = {"state": STATE_NUMBERS[TaskState.RUNNING], "attempt": 2}
        connection.execute(TASKS.update().where(TASKS.c.id == 4).values(values))
        place = {"task": 4, "client": "c", "slot": 3, "pid": 77, "started_at": 50.0}
        connection.execute(RUNNING.insert().values(place))

    rows, _ = filled.queries.rows(
        Selection(where="started < @60 and pid = 77"),
        ["id", "state", "client", "host", "slot", "pid", "started", "exit_status", "duration"],
    )

    assert [[4, "running", "c", "node1", 3, 77, 50.0, None, None]] == rows
    assert [] == filled.queries.rows(Selection(where="exit_status = 3 and id = 4"), ["id"])[0]


def test_tasks_are_tried_again_while_no_server_runs(filled: Filled) -> None:
    """Their next attempt is another one."""
    changed = filled.offline.retry(Selection(ids=(1, 4, 6)))

    rows, _ = filled.queries.rows(Selection(ids=(4, 6)), ["state", "attempt", "cause"])
    assert Changed(2, 0, 1) == changed
    assert [["waiting", 2, None], ["waiting", 1, None]] == rows


def test_deleted_tasks_leave_nothing_behind(filled: Filled) -> None:
    """And their ids are not given again."""
    changed = filled.offline.delete(Selection(ids=(2, 3, 5, 6)))

    with filled.database.reading() as connection:
        attempts = [row.task for row in connection.execute(ATTEMPTS.select())]
    assert Changed(2, 0, 2) == changed
    assert [1, 4] == sorted(attempts)
    assert [1, 2, 3, 4] == sorted(filled.states())
    assert [7] == filled.offline.submit([[b"x"]], SubmitOptions())
