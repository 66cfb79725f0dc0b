"""Ids that several threads take, and what is decided while the store's lock is held."""

import sys
import threading

from hypershell.core.retry import Policy
from hypershell.core.task import new_task
from hypershell.store.tasks.ids import Ids
from hypershell.store.tasks.journal import NoJournal
from hypershell.store.tasks.task_store import TaskStore
from tests.helpers.fakes import Call, failed


def test_ids_that_threads_take_at_once_are_given_once_and_the_last_is_the_highest():
    """At each moment: what another thread takes never sets it back.

    It cannot: there is no second step after an id was taken in which a thread could be interrupted.
    """
    ids = Ids(7)
    taken: list[list[int]] = [[] for _ in range(4)]
    behind: list[int] = []

    def take(mine: list[int]) -> None:
        for _ in range(5000):
            mine.append(ids.new())
            if ids.last < mine[-1]:
                behind.append(mine[-1])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        calls = [Call(take, mine) for mine in taken]
        assert all(call.is_over(30.0) for call in calls)
    finally:
        sys.setswitchinterval(before)

    assert [] == behind
    assert list(range(8, 20_008)) == sorted(number for mine in taken for number in mine)
    assert 20_007 == ids.last


def test_a_retry_goes_after_all_that_was_read():
    """Also after what is not stored yet."""
    store = TaskStore(Policy(max_retries=1))
    store.add([new_task(b"bad", 1, store.new_id())])
    (bad,) = store.lease(1)

    read = new_task(b"good", 2, store.new_id())
    store.record([("c", [failed(bad)])])
    store.add([read])

    assert [b"good", b"bad"] == [task.line for task in store.lease(2)]


class BlockingJournal(NoJournal):
    """Waits, with the lock of the store held, where tasks are leased."""

    def __init__(self) -> None:
        self.is_leasing = threading.Event()
        self.let_go = threading.Event()

    def leased(self, tasks):
        """When it is let go."""
        self.is_leasing.set()
        self.let_go.wait(10.0)
        return super().leased(tasks)


def test_the_end_of_the_input_waits_for_a_lease_that_is_being_decided():
    """What is leased was decided by one answer to whether lines may still come."""
    journal = BlockingJournal()
    store = TaskStore(Policy(), journal)
    store.add([new_task(b"a", 1, store.new_id())])
    leasing = Call(store.lease, 1)
    journal.is_leasing.wait(5.0)

    closing = Call(store.input_is_open, False)
    is_early = closing.is_over(0.1)
    journal.let_go.set()

    assert not is_early
    closing.result()
    assert 1 == len(leasing.result())
