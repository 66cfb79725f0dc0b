"""Outcomes of attempts that were given up, in the task database."""

import pytest
from sqlalchemy import select

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.core.run_mode import RunMode
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.maintenance import complaints
from hypershell.store.sql.schema import ATTEMPTS, TASKS
from tests.helpers.stored import CLIENT, StoredRun


@pytest.fixture
def url(tmp_path):
    """A database that is not there yet."""
    return sqlite_url(tmp_path / "t.db")


def give_up(run: StoredRun, number: int) -> list[Outcome]:
    """So many tasks are handed out, and given up; what their client would say of each."""
    tasks = run.store.lease(number)
    run.finish(*[Outcome(task.id, task.lease, Ending.LOST) for task in tasks])
    return [Outcome(task.id, task.lease, Ending.EXITED, 0, seconds=1.5, pid=7) for task in tasks]


def rows_of(url: str):
    """All tasks and attempts, and what `db check` complains of."""
    database = open_database(url, read_only=True)
    try:
        with database.reading() as connection:
            tasks = connection.execute(select(TASKS).order_by(TASKS.c.id)).all()
            attempts = connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.task)).all()
        return tasks, attempts, list(complaints(database))
    finally:
        database.close()


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("is_leased", [False, True])
def test_the_attempt_that_was_given_up_is_replaced(url, restarts, is_leased):
    """By the server that gave it up, or by one that comes after it."""
    with StoredRun(url, policy=Policy(max_lost=2)) as run:
        run.add(b"a", b"b", b"c")
        outcomes = give_up(run, 2)
        if not restarts:
            record(run, outcomes[0], is_leased)
            assert 1 == run.store.counts().retried
    if restarts:
        with StoredRun(url, RunMode.RESUME, Policy(max_lost=2)) as run:
            record(run, outcomes[0], is_leased)
            assert 0 == run.store.counts().retried

    tasks, attempts, wrong = rows_of(url)
    assert [] == wrong
    assert [(2, 1, 0), (0 if not is_leased else 1, 2, 1)] == [
        (task.state, task.attempt, task.losses) for task in tasks[:2]
    ]
    assert [(1, 1, Ending.EXITED, 7), (2, 1, Ending.LOST, 0)] == [
        (a.task, a.number, a.ending, a.pid) for a in attempts
    ]


def record(run: StoredRun, outcome: Outcome, is_leased: bool) -> None:
    """Record this, whose task waits, or was leased and is withdrawn."""
    withdrawn = {task.id for task in run.store.lease(10)} if is_leased else set()
    late = run.store.late_ones([outcome])

    recorded = run.store.record_late(CLIENT, late, withdrawn, stopping=False)

    assert [1] == [each.task.id for each in recorded]


def test_what_was_tried_again_by_request_has_no_loss_to_be_taken_back(url):
    """It was cancelled and retried after its client was given up: it has all its losses left."""
    with StoredRun(url, policy=Policy(max_retries=1, max_lost=2)) as run:
        run.add(b"a")
        (outcome,) = give_up(run, 1)
        run.store.cancel(Selection(ids=(1,)))
        run.store.retry(Selection(ids=(1,)))

        record(run, outcome._replace(code=3), is_leased=False)

    (task,), _, wrong = rows_of(url)
    assert [] == wrong
    assert (0, 1, 0) == (task.state, task.failures, task.losses)


def test_a_task_that_only_the_database_has_is_found(url):
    """The window is small, and the task beyond it."""
    with StoredRun(url, most_tasks=3) as run:
        run.add(*[b"x"] * 50)
        outcomes = give_up(run, 2)

        late = run.store.late_ones(outcomes)
        recorded = run.store.record_late(CLIENT, late, (), stopping=False)

        assert {each.task.id for each in recorded} <= {1, 2}
        assert len(recorded) == run.store.counts().succeeded


def test_clients_of_one_server_are_known_to_the_next(url):
    """The key of their secrets is kept with the tasks, and there is one."""
    with StoredRun(url) as first:
        key = first.kept.begun.client_key
    with StoredRun(url, RunMode.RESTART) as second:
        assert key == second.kept.begun.client_key

    assert 32 == len(key)
