"""Groups and priorities: who goes first, who waits for whom, and what holds nobody back."""

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.core.task import Task, new_task
from hypershell.store.tasks.task_store import TaskStore


def store_of(*lines: bytes, input_is_open: bool = False) -> TaskStore:
    """A store with these lines."""
    store = TaskStore(Policy())
    store.input_is_open(input_is_open)
    store.add([new_task(line, number, store.new_id()) for number, line in enumerate(lines, 1)])
    return store


def end(store: TaskStore, tasks: list[Task], code: int = 0) -> None:
    """All of these have ended so."""
    store.record([("c", [Outcome(t.id, t.lease, Ending.EXITED, code) for t in tasks])])


def test_a_group_waits_until_all_of_the_group_before_has_succeeded():
    """Not until most of it has."""
    store = store_of(b"a # HYPERSHELL: group:2", b"b # HYPERSHELL: group:1", b"c", b"d")
    first = store.lease(10)
    end(store, first[:1])
    early = store.lease(10)

    end(store, first[1:])
    second = store.lease(10)
    end(store, second)

    assert [3, 4] == [task.id for task in first]
    assert [] == early
    assert [2] == [task.id for task in second]
    assert [1] == [task.id for task in store.lease(10)]


def test_a_group_that_failed_stops_the_next():
    """What is left is blocked: nothing more can be done in this run."""
    store = store_of(b"a # HYPERSHELL: group:1", b"b # HYPERSHELL: group:2")

    end(store, store.lease(10), code=1)

    assert [] == store.lease(10)
    assert (1, 1) == (store.counts().blocked, store.counts().waiting)
    assert 0 == store.unfinished()
    assert store.close_if_finished()


def test_groups_wait_for_the_end_of_the_input():
    """A line of an earlier group may still come; those without a group need not wait for any."""
    store = store_of(b"a # HYPERSHELL: group:1", b"b", input_is_open=True)
    first = store.lease(10)
    end(store, first)
    early = store.lease(10)

    store.input_is_open(False)

    assert [2] == [task.id for task in first]
    assert [] == early
    assert [1] == [task.id for task in store.lease(10)]


def test_lines_that_wait_for_the_end_of_the_input_do_not_hold_it_back():
    """Else they would wait for each other for ever."""
    line = b"x" * 1_000_000 + b" # HYPERSHELL: group:1"

    store = store_of(*[line] * 40, input_is_open=True)

    assert (0, 0) == store.backlog()


def test_the_higher_priority_goes_first_within_its_group():
    """And the order of the input decides among equals."""
    store = store_of(
        b"a # HYPERSHELL: priority:-1",
        b"b",
        b"c # HYPERSHELL: priority:5",
        b"d # HYPERSHELL: priority:9 group:1",
        b"e",
    )

    assert [3, 2, 5, 1] == [task.id for task in store.lease(10)]
    assert 1 == store.counts().waiting
