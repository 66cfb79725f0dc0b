"""What the client plane does for its peers, and what it refuses them."""

import threading
from typing import Any

import pytest

from hypershell.core.task import LONGEST_LINE, Policy
from hypershell.server.control import Control
from hypershell.server.roster import Roster
from hypershell.server.scheduled import ScheduledQueue
from hypershell.store.tasks import TaskStore
from hypershell.wire.control import VERBS
from hypershell.wire.messages import Hello


class Parts:
    """A control with a real store and roster; what it tells others is noted."""

    def __init__(self) -> None:
        self.has_room = True
        self.stops: list[bool] = []
        self.added: list[None] = []
        self.store = TaskStore(Policy())
        lock = threading.RLock()
        self.roster = Roster(lock, 30.0, 5.0)
        self.scheduled = ScheduledQueue(lock, 1, lambda: None)
        self.control = Control(
            self.store,
            self.roster,
            self.scheduled,
            {"server_uid": "abc", "pid": 1},
            lambda seconds: self.has_room,
            lambda: self.added.append(None),
            self.stops.append,
        )


@pytest.fixture
def parts() -> Parts:
    """One of them."""
    return Parts()


def test_only_the_verbs_are_public() -> None:
    """What the plane exposes is exactly what the object offers."""
    public = {name for name in vars(Control) if not name.startswith("_")}

    assert VERBS == public


def test_submitted_lines_become_tasks_with_ids_in_order(parts: Parts) -> None:
    """The ids are returned, the store has the tasks, and the scheduler is told."""
    ids = parts.control.submit([b"one", b"two"])

    assert [1, 2] == ids
    assert [b"one", b"two"] == [task.line for task in parts.store.lease(10)]
    assert [None] == parts.added


def test_nothing_submitted_is_nothing_done(parts: Parts) -> None:
    """No lines, no ids."""
    assert [] == parts.control.submit([])
    assert 0 == parts.store.unfinished()


def test_without_room_nothing_is_taken(parts: Parts) -> None:
    """No ids are used up either."""
    parts.has_room = False
    refused = parts.control.submit([b"one"])
    parts.has_room = True

    assert [] == refused
    assert [1] == parts.control.submit([b"one"])
    assert 1 == parts.store.unfinished()


BAD_LINES: dict[str, Any] = {
    "no list": b"true",
    "none": None,
    "a number": 3,
    "a table": {b"true": 1},
    "a line of text": ["true"],
    "a comment": [b"# no task"],
    "blanks": [b"  "],
    "nothing": [b""],
    "a NUL": [b"echo \0"],
    "two lines": [b"one\ntwo"],
    "a line too long": [b"x" * (LONGEST_LINE + 1)],
    "a bad one behind a good one": [b"true", b""],
    "a list in it": [[b"true"]],
}


@pytest.mark.parametrize("lines", BAD_LINES.values(), ids=BAD_LINES)
def test_what_is_no_list_of_lines_is_refused_as_a_whole(parts: Parts, lines: Any) -> None:
    """ValueError, and no task is made, not even of those before the bad one."""
    with pytest.raises(ValueError, match=r"not a|cannot be run"):
        parts.control.submit(lines)

    assert 0 == parts.store.unfinished()
    assert [] == parts.added


def test_info_has_facts_counts_and_clients(parts: Parts) -> None:
    """Every state is counted, and of a client all that a table shows; no key is there."""
    parts.control.submit([b"one", b"two"])
    parts.store.lease(1)
    parts.roster.join(Hello("node", 77, 4))

    facts = parts.control.info()

    assert ("abc", 1) == (facts["server_uid"], facts["pid"])
    assert (1, 1) == (facts["tasks"]["waiting"], facts["tasks"]["sent"])
    assert 2 == sum(facts["tasks"].values())
    (client,) = facts["clients"]
    assert ("node", 77, 4, 0, 0) == tuple(
        client[name] for name in ("host", "pid", "slots", "running", "done")
    )
    assert 0 <= client["last_heard"] < 5


def test_what_no_client_has_taken_counts_as_waiting(parts: Parts) -> None:
    """Bundles that lie ready are leased already; for who asks, they wait."""
    parts.control.submit([b"one", b"two", b"three"])
    parts.scheduled.offer([parts.store.lease(2)])

    tasks = parts.control.info()["tasks"]

    assert (3, 0) == (tasks["waiting"], tasks["sent"])


def test_info_is_a_copy(parts: Parts) -> None:
    """Who gets it cannot change what the next one gets."""
    parts.control.info()["server_uid"] = "other"

    assert "abc" == parts.control.info()["server_uid"]


def test_a_stop_is_passed_on(parts: Parts) -> None:
    """With whether to drain."""
    parts.control.stop(True)
    parts.control.stop(False)

    assert [True, False] == parts.stops


@pytest.mark.parametrize("drain", [None, 1, "yes", b"", [True]])
def test_a_stop_that_is_neither_yes_nor_no_is_refused(parts: Parts, drain: Any) -> None:
    """Nothing is stopped by mistake."""
    with pytest.raises(ValueError, match="not a stop"):
        parts.control.stop(drain)

    assert [] == parts.stops
