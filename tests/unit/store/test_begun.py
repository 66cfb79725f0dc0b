"""What a run finds in a database when it begins there."""

from pathlib import Path

from hypershell.core.retry import Policy
from hypershell.core.run_mode import RunMode
from hypershell.core.task_spec import TaskSpec
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.runs import Making, begin_run
from tests.helpers.stored import StoredRun, ended


def test_clients_of_any_server_before_have_their_lease(tmp_path: Path):
    """Whoever holds a task stops it at the end of that lease: it must not begin anew before.

    Neither a run between that leaves the task alone, nor one that takes it over and dies too,
    has it come back earlier.
    """
    url = sqlite_url(tmp_path / "farm.db")
    run = StoredRun(url)  # its lease is 30 s
    run.add(b"a")
    run.store.lease(1)
    run.die()
    database = open_database(url)

    other = begin_run(database, RunMode.FILE, Making("other", b"-", 2.0))
    first = begin_run(database, RunMode.RESTART, Making("first", b"", 2.0))
    second = begin_run(database, RunMode.RESTART, Making("second", b"", 2.0))
    database.close()

    assert [2.0, 30.0, 30.0] == [begun.lease_seconds for begun in (other, first, second)]


def test_a_task_has_its_own_settings_in_every_run_and_the_others_of_the_run(tmp_path: Path):
    """What one run gives to tasks that say nothing is not kept with them."""
    url = sqlite_url(tmp_path / "farm.db")
    with StoredRun(url, policy=Policy(max_retries=0)) as run:
        run.add(b"own", spec=TaskSpec(max_retries=0))
        run.add(b"of the run")

    with StoredRun(url, RunMode.RESTART, policy=Policy(max_retries=1)) as run:
        tasks = run.store.lease(2)
        run.finish(*(ended(task, code=1) for task in tasks))
        counts = run.store.counts()

    assert (1, 1) == (counts.failed, counts.waiting)
