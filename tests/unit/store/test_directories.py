"""Where tasks were made and where they run, as a task database keeps it."""

from pathlib import Path

from sqlalchemy import select, update

from hypershell.core.origin import Origin
from hypershell.core.query.selection import Selection
from hypershell.core.run_mode import RunMode
from hypershell.core.setting_values import CLIENT_CWD
from hypershell.core.submission import SubmitOptions
from hypershell.core.task_spec import TaskSpec
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.offline import Offline
from hypershell.store.sql.queries import Queries
from hypershell.store.sql.schema import DIRECTORIES, RUNS, TASKS
from tests.helpers.stored import StoredRun

HERE = Origin(b"/here", "/here")
ELSEWHERE = Origin(b"/else \xff", "/else \udcff")


def directories(run: StoredRun) -> list[str | None]:
    """Where each waiting task runs, by id; None: in the directory of the run."""
    return [task.spec.cwd for task in sorted(run.store.lease(100))]


def submission(path: bytes, cwd: str) -> SubmitOptions:
    """A submission made in one directory, for another."""
    return SubmitOptions(spec=TaskSpec(cwd=cwd), made_in=path)


def test_a_run_that_is_resumed_elsewhere_keeps_its_directory(tmp_path: Path):
    """Its lines need not name it."""
    url = sqlite_url(tmp_path / "farm.db")
    with StoredRun(url, path=b"/list", origin=HERE) as run:
        run.add(b"a")

    with StoredRun(url, RunMode.RESUME, path=b"/list", origin=ELSEWHERE) as run:
        found = run.kept.begun.cwd, directories(run)

    assert ("/here", [None]) == found


def test_a_restart_from_elsewhere_runs_each_task_in_its_own_directory(tmp_path: Path):
    """Lines of earlier runs, and what was submitted to them or to no server at all."""
    url = sqlite_url(tmp_path / "farm.db")
    with StoredRun(url, origin=HERE) as run:
        run.add(b"a", spec=TaskSpec(timeout=5.0))
        how = submission(ELSEWHERE.made_in, ELSEWHERE.cwd)
        run.store.add(how.tasks([b"b"], run.store.new_id), made_in=how.made_in)
        how = submission(ELSEWHERE.made_in, CLIENT_CWD)
        run.store.add(how.tasks([b"c"], run.store.new_id), made_in=how.made_in)
    database = open_database(url)
    Offline(database).submit([[b"d"]], submission(b"/made", "/there"))
    database.close()

    with StoredRun(url, RunMode.RESTART, origin=Origin(b"/now", "/now")) as run:
        found = run.kept.begun.cwd, directories(run)

    assert ("/now", ["/here", "/else \udcff", CLIENT_CWD, "/there"]) == found


def test_a_directory_that_is_named_moves_all_that_is_taken_over(tmp_path: Path):
    """Now, and in the runs after it; where each was made stays as it is."""
    url = sqlite_url(tmp_path / "farm.db")
    with StoredRun(url, origin=HERE) as run:
        run.add(b"a")
        how = submission(b"/made", "/gone")
        run.store.add(how.tasks([b"b"], run.store.new_id), made_in=how.made_in)

    moved = []
    for origin, moves in ((Origin(b"/now", CLIENT_CWD), True), (ELSEWHERE, False)):
        with StoredRun(url, RunMode.RESTART, origin=origin, moves=moves) as run:
            moved.append(directories(run))
            run.store.take_back(list(run.store._handed_out.tasks.values()))
    database = open_database(url)
    with database.reading() as connection:
        made_in = connection.execute(
            select(DIRECTORIES.c.path).join(TASKS, TASKS.c.made_in == DIRECTORIES.c.id)
        ).scalars()
        made = list(made_in)
    database.close()

    assert [[CLIENT_CWD, CLIENT_CWD], [CLIENT_CWD, CLIENT_CWD]] == moved
    assert [b"/made"] == made


def test_each_directory_is_stored_once_however_many_tasks_have_it(tmp_path: Path):
    """A line of the input names none, and a submission adds a number to each of its tasks."""
    url = sqlite_url(tmp_path / "farm.db")
    with StoredRun(url, origin=HERE) as run:
        run.add(*[b"line %d" % number for number in range(50)])
        how = submission(b"/made", "/made")
        run.store.add(how.tasks([b"x"] * 50, run.store.new_id), made_in=how.made_in)
    database = open_database(url)
    with database.reading() as connection:
        paths = sorted(connection.execute(select(DIRECTORIES.c.path)).scalars())
        rows = set(connection.execute(select(TASKS.c.spec, TASKS.c.made_in, TASKS.c.cwd)))
    database.close()

    assert [b"/here", b"/made"] == paths
    assert {(None, None, None), (None, 2, None)} == rows


def test_a_run_of_which_nobody_knows_the_directory_has_that_of_who_goes_on_with_it(tmp_path: Path):
    """It was made by a release that did not note it."""
    url = sqlite_url(tmp_path / "farm.db")
    with StoredRun(url, path=b"/list") as run:
        run.add(b"a")
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(update(RUNS).values(made_in=None))
    database.close()

    with StoredRun(url, RunMode.RESUME, path=b"/list", origin=HERE) as run:
        found = run.kept.begun.cwd, directories(run)

    assert ("/here", [None]) == found


def test_people_see_in_which_directory_a_task_runs(tmp_path: Path):
    """In `info` and `list`, whatever bytes its name has."""
    url = sqlite_url(tmp_path / "farm.db")
    with StoredRun(url, origin=ELSEWHERE) as run:
        run.add(b"a")
        queries = Queries(run.kept.database)
        task, (rows, _) = queries.task(1), queries.rows(Selection(), ["id", "cwd"])

    assert "/else \udcff" == task["cwd"]
    assert [[1, "/else \udcff"]] == rows
