"""What the client plane does for its peers, and what it refuses them."""

import threading
from typing import Any

import pytest

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.core.submission import SubmitOptions
from hypershell.core.task import MAX_LINE, new_task
from hypershell.core.task_spec import TaskSpec
from hypershell.server.events import (
    EventBus,
    StopAsked,
    TasksAdded,
    TasksBegun,
    TasksChanged,
    TasksFinal,
)
from hypershell.server.planes.client_service import ClientService
from hypershell.server.planes.completion import CompletionWaiters
from hypershell.server.state.registry import ClientRegistry
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.store.tasks.task_store import TaskStore
from hypershell.wire.client_plane import VERBS
from hypershell.wire.worker_messages import Hello


class Parts:
    """A service with a real store and registry, and the events that it publishes."""

    def __init__(self) -> None:
        self.has_capacity = True
        self.events: list[object] = []
        bus, lock, completion = EventBus(), threading.RLock(), CompletionWaiters()
        bus.subscribe(self.events.append, TasksAdded, TasksChanged, StopAsked)
        bus.subscribe(completion.note_final, TasksFinal)
        self.store = TaskStore(Policy(), on_final=lambda final: bus.publish(TasksFinal, final))
        bus.subscribe(lambda e: self.store.begin(e.client_id, e.begun), TasksBegun)
        self.registry = ClientRegistry(lock, 30.0, 5.0, bus)
        self.scheduled = ScheduledQueue(lock, 1, bus)
        self.control = ClientService(
            self.store,
            self.registry,
            self.scheduled,
            {"server_uid": "abc", "pid": 1},
            bus,
            lambda seconds: self.has_capacity,
            completion,
        )


@pytest.fixture
def parts() -> Parts:
    """One of them."""
    return Parts()


def test_only_the_verbs_are_public() -> None:
    """What the plane exposes is exactly what the object offers."""
    public = {name for name in vars(ClientService) if not name.startswith("_")}

    assert VERBS == public


def test_submitted_lines_become_tasks_with_ids_in_order(parts: Parts) -> None:
    """The ids are returned, the store has the tasks, and others hear of it."""
    ids = parts.control.submit([b"one", b"two"])

    assert [1, 2] == ids
    assert [b"one", b"two"] == [task.line for task in parts.store.lease(10)]
    assert [TasksAdded(2)] == parts.events


def test_nothing_submitted_is_nothing_done(parts: Parts) -> None:
    """No lines, no ids."""
    assert [] == parts.control.submit([])
    assert 0 == parts.store.unfinished()


def test_without_room_nothing_is_taken(parts: Parts) -> None:
    """No ids are used up either."""
    parts.has_capacity = False
    refused = parts.control.submit([b"one"])
    parts.has_capacity = True

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
    "a line too long": [b"x" * (MAX_LINE + 1)],
    "a bad one behind a good one": [b"true", b""],
    "a list in it": [[b"true"]],
}


@pytest.mark.parametrize("lines", BAD_LINES.values(), ids=BAD_LINES)
def test_what_is_no_list_of_lines_is_refused_as_a_whole(parts: Parts, lines: Any) -> None:
    """ValueError, and no task is made, not even of those before the bad one."""
    with pytest.raises(ValueError, match=r"not a|cannot be run"):
        parts.control.submit(lines)

    assert 0 == parts.store.unfinished()
    assert [] == parts.events


def test_info_has_facts_counts_and_clients(parts: Parts) -> None:
    """Every state is counted, and of a client all that a table shows; no key is there."""
    parts.control.submit([b"one", b"two"])
    leased = parts.store.lease(1)
    client = parts.registry.join(Hello("node", 77, 4))
    parts.scheduled.offer([leased])
    parts.scheduled.take(parts.registry.clients()[0], client.session, 1, 0.0)
    parts.registry.note_begun(parts.registry.clients()[0], [Begun(1, 1, 1e9, 1, 77)])

    facts = parts.control.info()

    assert ("abc", 1) == (facts["server_uid"], facts["pid"])
    assert (1, 1) == (facts["tasks"]["waiting"], facts["tasks"]["running"])
    assert 2 == sum(facts["tasks"].values())
    (client,) = facts["clients"]
    assert ("node", 77, 4, 1, 0) == tuple(
        client[name] for name in ("host", "pid", "slots", "running", "done")
    )
    assert 0 <= client["last_heard"] < 5


def test_what_no_client_has_begun_counts_as_waiting(parts: Parts) -> None:
    """Bundles that lie ready are leased already, and clients hold some in advance."""
    parts.control.submit([b"one", b"two", b"three"])
    client = parts.registry.join(Hello("node", 77, 1))
    parts.scheduled.offer([[task] for task in parts.store.lease(2)])
    parts.scheduled.take(parts.registry.clients()[0], client.session, 1, 0.0)

    facts = parts.control.info()

    assert (3, 0) == (facts["tasks"]["waiting"], facts["tasks"]["running"])
    assert (1, 0) == (facts["clients"][0]["holds"], facts["clients"][0]["running"])


def test_info_is_a_copy(parts: Parts) -> None:
    """Who gets it cannot change what the next one gets."""
    parts.control.info()["server_uid"] = "other"

    assert "abc" == parts.control.info()["server_uid"]


def test_a_stop_is_passed_on(parts: Parts) -> None:
    """With whether to drain."""
    parts.control.stop(True)
    parts.control.stop(False)

    assert [StopAsked(True), StopAsked(False)] == parts.events


@pytest.mark.parametrize("drain", [None, 1, "yes", b"", [True]])
def test_a_stop_that_is_neither_yes_nor_no_is_refused(parts: Parts, drain: Any) -> None:
    """Nothing is stopped by mistake."""
    with pytest.raises(ValueError, match="not a stop"):
        parts.control.stop(drain)

    assert [] == parts.events


def test_a_submission_has_terms(parts: Parts) -> None:
    """They hold for each of its lines."""
    parts.control.submit(
        [b"one", b"two"], SubmitOptions(group=0, priority=5, spec=TaskSpec(max_retries=2)).pack()
    )

    tasks = parts.store.lease(10)

    assert [(5, 2), (5, 2)] == [(task.priority, task.spec.max_retries) for task in tasks]


def test_what_waits_and_what_no_client_has_taken_is_cancelled_at_once(parts: Parts) -> None:
    """What a client holds and has not begun is named to it, and is on its way back."""
    ids = parts.control.submit([b"one", b"two", b"three"])
    client = parts.registry.join(Hello("node", 77, 1))
    parts.scheduled.offer([[task] for task in parts.store.lease(2)])
    parts.scheduled.take(parts.registry.clients()[0], client.session, 1, 0.0)

    told = parts.control.cancel(Selection(ids=tuple(ids)).pack())

    assert [3, 0, 0] == told
    named = parts.scheduled.cancelled(parts.registry.clients()[0], client.session)
    assert ((1, 1),) == named
    assert (2, 1) == (parts.store.counts().cancelled, parts.store.counts().sent)
    assert TasksChanged(3) == parts.events[-1]


@pytest.mark.parametrize("verb", ["cancel", "retry", "delete"])
def test_a_change_may_let_others_go(parts: Parts, verb: str) -> None:
    """It may be what was left of a group: the scheduler looks again, after the change."""
    parts.store.add([new_task(b"a", 1, 1)])

    getattr(parts.control, verb)(Selection(ids=(1,)).pack())

    assert [TasksChanged] == [type(event) for event in parts.events]


def test_a_change_of_everything_is_refused(parts: Parts) -> None:
    """Whoever an empty selection means nothing."""
    parts.control.submit([b"one"])

    for change in (parts.control.cancel, parts.control.retry, parts.control.delete):
        with pytest.raises(ValueError, match="an empty selection"):
            change(Selection().pack())

    assert 1 == parts.store.counts().waiting


def test_a_wait_for_all_ends_when_nothing_is_left(parts: Parts) -> None:
    """At once if that is so already; with numbers in any case."""
    parts.control.submit([b"one"])
    early = parts.control.wait(Selection().pack(), 0.01)
    (task,) = parts.store.lease(1)
    parts.store.record([("c", [Outcome(task.id, task.lease, Ending.EXITED, 3)])])

    late = parts.control.wait(Selection().pack(), 60)

    assert {"unfinished": 1, "bad": 0, "over": False} == early
    assert {"unfinished": 0, "bad": 1, "over": True} == late


def test_a_wait_for_ids_needs_no_database(parts: Parts) -> None:
    """What failed is remembered; other selections are refused."""
    ids = parts.control.submit([b"one", b"two"])
    task = parts.store.lease(1)[0]
    parts.store.record([("c", [Outcome(task.id, task.lease, Ending.EXITED, 3)])])

    done = parts.control.wait(Selection(ids=(ids[0],)).pack(), 60)

    assert {"unfinished": 0, "bad": 1, "over": True} == done
    with pytest.raises(ValueError, match="keeps no database"):
        parts.control.wait(Selection(tags=(("a", ""),)).pack(), 0)


@pytest.mark.parametrize("seconds", [-1, 1e9, "1", None, float("nan")])
def test_a_wait_of_no_length_is_refused(parts: Parts, seconds: Any) -> None:
    """It would keep a connection busy for ever."""
    with pytest.raises(ValueError, match="seconds"):
        parts.control.wait(Selection().pack(), seconds)


QUESTIONS: dict[str, tuple[str, list[Any]]] = {
    "count": ("count", [Selection().pack()]),
    "rows": ("rows", [Selection().pack(), ["id"], 0, 10]),
    "task": ("task", [1]),
    "output": ("output", [1]),
    "failures": ("failures", [Selection().pack()]),
    "captured": ("submit", [[b"true"], SubmitOptions(spec=TaskSpec(capture=True)).pack()]),
}


@pytest.mark.parametrize(("verb", "arguments"), QUESTIONS.values(), ids=QUESTIONS)
def test_without_a_database_questions_are_refused(
    parts: Parts, verb: str, arguments: list[Any]
) -> None:
    """In words that say why."""
    with pytest.raises(ValueError, match="keeps no database"):
        getattr(parts.control, verb)(*arguments)


BAD_ARGUMENTS: dict[str, tuple[str, list[Any]]] = {
    "a count of nothing": ("count", [None]),
    "rows without fields": ("rows", [Selection().pack(), [], 0, 10]),
    "rows with a field that is none": ("rows", [Selection().pack(), ["x"], 0, 10]),
    "rows behind nothing": ("rows", [Selection().pack(), ["id"], None, 10]),
    "rows without number": ("rows", [Selection().pack(), ["id"], 0, -1]),
    "a task by its name": ("task", ["1"]),
    "a task that is true": ("task", [True]),
    "a selection by hand": ("cancel", [{"ids": [1]}]),
    "terms by hand": ("submit", [[b"true"], {"group": 1}]),
}


@pytest.mark.parametrize(("verb", "arguments"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_arguments_that_are_none_are_refused(parts: Parts, verb: str, arguments: list[Any]) -> None:
    """Each on its own, and nothing is done."""
    with pytest.raises(ValueError, match=r"not|unknown field"):
        getattr(parts.control, verb)(*arguments)

    assert 0 == parts.store.unfinished()
