"""Damaged databases: whatever is wrong with one, each verb says so, or does without it.

DAMAGE_TRIALS is how many databases the campaign damages, DAMAGE_SEED the seed of the first.
"""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random

import pytest

from hypershell.cli.main import main
from hypershell.core.run_mode import RunMode
from hypershell.store.sql.engine import open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseUnusable
from hypershell.store.sql.maintenance import vacuum
from tests.helpers.damage import damage
from tests.helpers.farm import Farm
from tests.helpers.stored import StoredRun, ended

FIELDS = "id line state exit_status tag.k max_retries capture memory cpu host started ended run"
VERBS = (
    "list",
    "list --count",
    f"list --json {FIELDS} cause reason added",
    f"list --csv {FIELDS}",
    "list --where duration>=0.1",
    "list --where ended>2h",
    "list --tag k:v",
    "info 1",
    "info 2",
    "info 3",
    "failures",
    "failures --json",
    "wait 1 --timeout 0.1",
    "wait --all --timeout 0.1",
    "db check",
    "db export",
    "db export --format csv",
    "db export --format joblog",
    "retry 2 3",
    "cancel 3",
    "delete 1",
    "submit --capture --tag k:v -- true",
    "db vacuum",
    "initdb",
)
STATUSES = {0, 1, 2, 3, 4, 5}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has something in each of its tables, in one file."""
    path = tmp_path_factory.mktemp("sample") / "hyper-shell.db"
    lines = [b"true # HYPERSHELL: k:v", b"false", b"exit 3 # HYPERSHELL: retries:1", b"sleep 1"]
    with StoredRun(sqlite_url(path), owes=True) as run:
        run.add(*lines)
        run.finish(*(ended(task, task.id - 1, b"oops\n") for task in run.store.lease(3)))
    database = open_database(sqlite_url(path))
    vacuum(database)
    database.close()
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server directory of one's own, for verbs that run in this process."""
    tmp_path.chmod(0o700)
    for name in [name for name in os.environ if name.startswith("HYPERSHELL_")]:
        monkeypatch.delenv(name)
    return tmp_path


def said_by(words: list[str]) -> tuple[int, str]:
    """The exit status of a command line that runs in this process, and what it says."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    return status, err.getvalue()


def try_all(folder: Path, sample: Path, seed: int) -> list[str]:
    """Damage a copy of a database, and let all verbs meet it; what they do that they must not."""
    path = folder / "hyper-shell.db"
    for suffix in ("-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    shutil.copy(sample, path)
    how = damage(path, Random(seed))
    bad = []
    for verb in VERBS:
        status, err = said_by([*verb.split(), "--server-dir", str(folder)])
        if status not in STATUSES or "Traceback" in err or "this is a bug" in err:
            bad.append(f"seed {seed}, {how}: `{verb}` ended with {status}\n{err}")
    return bad + begin_there(path, f"seed {seed}, {how}")


def begin_there(path: Path, how: str) -> list[str]:
    """What is wrong with a server that would run all that is in a database."""
    try:
        with StoredRun(sqlite_url(path), RunMode.RESTART) as run:
            run.finish(*map(ended, run.store.lease(10)))
            run.add(b"true")
    except DatabaseUnusable:
        pass
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return [f"{how}: a server ends with {error!r}"]
    return []


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_database_is_named(folder, sample, seed):
    """No verb ends with 70 or a traceback, nor does a server."""
    assert [] == try_all(folder, sample, seed)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_many_damaged_databases_are_named(folder, sample):
    """The same of many."""
    first = int(os.environ.get("DAMAGE_SEED", "1000"))
    seeds = range(first, first + int(os.environ.get("DAMAGE_TRIALS", "1000")))

    bad = [text for seed in seeds for text in try_all(folder, sample, seed)]

    assert [] == bad, "\n".join(bad[:10])


def test_a_server_on_a_damaged_database_says_so(farm: Farm, sample: Path) -> None:
    """A real one, which meets the damage when it reads the tasks."""
    path = farm.folder / "tasks.db"
    shutil.copy(sample, path)
    path.write_bytes(path.read_bytes().replace(b'{"max_retries":1}', b'{"max_retries"\xff1}'))

    ran = farm.start("cluster", "--restart", "--database", path)

    assert ran.wait() in STATUSES, ran.err
    assert "this is a bug" not in ran.err
