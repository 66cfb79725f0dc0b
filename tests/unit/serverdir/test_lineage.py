"""What proves that all of a killed run is gone, and what does not."""

import json
import os

import pytest

from hypershell.runtime.procfs import Process
from hypershell.serverdir import lineage
from hypershell.serverdir.holder import this_process

INIT = Process(1, 0, 1, 10, False)
SHELL = Process(50, 1, 50, 100, False)
OTHER = Process(60, 1, 60, 100, False)
US = Process(os.getpid(), 50, 50, 900, False)

FAMILY = {(200, 500), (201, 510), (202, 511)}
ANCESTORS = {(50, 100), (1, 10)}
BEGAN = 500


def clear(*others: Process) -> bool:
    """Whether all is proven gone, with these processes beside the usual ones."""
    found = {each.pid: each for each in (INIT, SHELL, OTHER, US, *others)}
    return lineage._is_clear(found, FAMILY, ANCESTORS, BEGAN)


@pytest.mark.parametrize(
    "others",
    [
        (),
        (Process(202, 1, 50, 511, True),),  # a zombie is dead
        (Process(202, 50, 50, 800, False),),  # the number was given again
        (Process(700, 50, 50, 700, False),),  # what a user of the same terminal started
        (Process(700, 60, 700, 700, False),),  # a session below one that adopts no orphan of ours
        (Process(700, os.getpid(), 700, 901, False),),  # ours
        (Process(700, 1, 60, 400, False),),  # older than the run
    ],
)
def test_what_cannot_be_a_task_is_no_reason_to_wait(others):
    """It is older, in an older session, or below a process that could not adopt a task."""
    assert clear(*others)


@pytest.mark.parametrize(
    "others",
    [
        (Process(202, 1, 50, 511, False),),  # the client itself
        (Process(201, 1, 50, 510, False),),  # its supervisor, stopped perhaps
        (Process(300, 1, 300, 600, False),),  # an orphan in a session of its own
        (Process(300, 50, 300, 600, False),),  # adopted by an ancestor, which may be a subreaper
        (Process(301, 300, 300, 610, False), Process(300, 1, 300, 600, True)),  # its parent is dead
        (Process(301, 300, 301, 610, False), Process(300, 1, 300, 600, False)),
        (Process(301, 999, 301, 610, False),),  # a parent that is not seen
        (Process(301, 0, 301, 610, False),),  # one from outside
        (Process(300, 1, 300, 500, False),),  # of the same tick
    ],
)
def test_what_may_be_a_task_makes_a_server_wait(others):
    """Wherever it cannot be told, the lease is waited for."""
    assert not clear(*others)


def test_a_system_that_hides_processes_proves_nothing(monkeypatch):
    """Tasks of another user would not be seen."""
    assert not lineage._is_clear({US.pid: US}, FAMILY, ANCESTORS, BEGAN)


def test_a_note_is_made_of_what_is_below_this_process_alone():
    """A client that joined from elsewhere, or was started by somebody else, has none."""
    child = os.fork()
    if child == 0:
        os.read(os.pipe()[0], 1)
    try:
        note = json.loads(lineage.lineage_of(child))
        nothing = lineage.lineage_of(os.getppid()) + lineage.lineage_of(os.getpid())
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)

    assert [child, os.getpid()] == [pid for pid, _ in note["family"]]
    assert os.getppid() == note["ancestors"][0][0]
    assert "" == nothing


@pytest.mark.parametrize("change", [{"boot": "other"}, {"space": 7}, {"family": 7}, {"began": "x"}])
def test_a_note_from_elsewhere_proves_nothing(change):
    """Of another start of the machine, another set of process numbers, or one that is damaged."""
    here = this_process("")
    note = {"boot": here.boot, "space": here.space, "began": 1, "family": [], "ancestors": []}

    assert not lineage.is_gone(json.dumps(note | change), {})
    assert not lineage.is_gone("", {})
    assert not lineage.is_gone(json.dumps(note | {"began": 2**62}), {"TASK_ID": "1"})
    assert lineage.is_gone(json.dumps(note | {"began": 2**62}), {})
