"""Waiting for tasks: what the verdict is, and when the time is over."""

from pathlib import Path

import pytest

from hypershell.app.locate import ServerLocation
from hypershell.app.task_api import TaskSource
from hypershell.app.wait import WaitOptions, WaitVerdict, wait, wait_for
from hypershell.core.errors import WaitTooLong
from hypershell.core.query.selection import Selection
from hypershell.store.sql.engine import sqlite_url
from tests.helpers.stored import run_tasks


@pytest.fixture
def source(tmp_path: Path) -> TaskSource:
    """A database of a run in which task 1 failed and task 2 succeeded."""
    url = sqlite_url(tmp_path / "farm.db")
    run_tasks(url, b"false", b"true", codes=[1])
    return TaskSource(ServerLocation(server_dir=str(tmp_path)), url, "wait")


class Slow:
    """Tasks that are not final before they were waited for a few times."""

    def __init__(self, calls: int) -> None:
        self.seconds: list[float] = []
        self._calls = calls

    def wait(self, selection: Selection, seconds: float) -> dict[str, object]:
        self.seconds.append(seconds)
        over = len(self.seconds) >= self._calls
        return {"unfinished": 0 if over else 3, "bad": 0, "over": over}


@pytest.mark.parametrize(
    ("verdict", "good"),
    [
        (WaitVerdict(0, 0, 0, has_server=True), True),
        (WaitVerdict(1, 0, 0, has_server=False), False),
        (WaitVerdict(0, 1, 0, has_server=True), False),
        (WaitVerdict(0, 0, 1, has_server=True), False),
    ],
)
def test_all_is_well_only_if_all_succeeded(verdict, good):
    """A task that is unknown has not."""
    assert good == verdict.is_good


@pytest.mark.parametrize(
    ("ids", "verdict"),
    [
        ((2,), WaitVerdict(0, 0, 0, has_server=False)),
        ((1, 2), WaitVerdict(0, 1, 0, has_server=False)),
        ((2, 3, 4), WaitVerdict(0, 0, 2, has_server=False)),
    ],
)
def test_a_database_tells_at_once(source, ids, verdict):
    """No server runs that could change anything."""
    assert verdict == wait(WaitOptions(source, Selection(ids=ids)))


def test_it_waits_until_the_tasks_are_final():
    """Call by call, as long as it takes."""
    tasks = Slow(calls=3)

    ended = wait_for(tasks, Selection())

    assert ended["over"]
    assert 3 == len(tasks.seconds)


def test_it_gives_up_when_the_time_is_over():
    """And says how many tasks are not final."""
    tasks = Slow(calls=2)

    with pytest.raises(WaitTooLong, match="after 0 s: 3 tasks"):
        wait_for(tasks, Selection(), 0.0)

    assert [0.0] == tasks.seconds
