"""Whoever waits for tasks is woken by the last of them, and misses none."""

import threading

from hypershell.core.state import TaskState
from hypershell.server.events import TasksFinal
from hypershell.server.planes.completion import CompletionWaiters


def tell(completion: CompletionWaiters, *final: tuple[int, TaskState]) -> None:
    """These tasks become final."""
    completion.note_final(TasksFinal(final))


class Waiter:
    """A thread that waits for tasks."""

    def __init__(
        self, completion: CompletionWaiters, ids: list[int], seconds: float = 60.0
    ) -> None:
        self.asked = threading.Event()
        self.is_over = False
        self._ids = ids

        def wait() -> None:
            completion.wait(self._find, lambda: self.is_over, seconds)
            self.asked.set()  # a wait that was over before it began asks for nothing

        self.thread = threading.Thread(target=wait, daemon=True)
        self.thread.start()
        assert self.asked.wait(10)

    def _find(self) -> list[int]:
        self.asked.set()
        return self._ids

    @property
    def waits(self) -> bool:
        """Whether it still does."""
        return self.thread.is_alive()

    def ends(self) -> bool:
        """Whether it ends soon."""
        self.thread.join(10)
        return not self.waits


def test_a_wait_ends_with_the_last_of_its_tasks() -> None:
    """And with no other one."""
    completion = CompletionWaiters()
    waiter = Waiter(completion, [1, 2])

    tell(completion, (1, TaskState.SUCCEEDED), (3, TaskState.SUCCEEDED))
    waited = waiter.waits
    tell(completion, (2, TaskState.FAILED))

    assert waited
    assert waiter.ends()


def test_a_task_that_ends_while_it_is_looked_for_is_not_missed() -> None:
    """What becomes final before the answer of `find` is there counts."""
    completion = CompletionWaiters()

    def find() -> list[int]:
        tell(completion, (1, TaskState.SUCCEEDED))
        return [1]

    completion.wait(find, lambda: False, 60.0)  # returns


def test_a_wait_for_nothing_ends_at_once() -> None:
    """There is no news to come."""
    assert Waiter(CompletionWaiters(), []).ends()


def test_a_wait_ends_when_nothing_more_can_become_final() -> None:
    """Whatever it waits for."""
    completion = CompletionWaiters()
    waiter = Waiter(completion, [1])
    waiter.is_over = True

    tell(completion, (9, TaskState.FAILED))

    assert waiter.ends()


def test_a_wait_ends_in_time_and_with_its_server() -> None:
    """By its own bound, or by the end of all."""
    completion = CompletionWaiters()
    impatient = Waiter(completion, [1], seconds=0.01)
    patient = Waiter(completion, [1])

    ended = impatient.ends()
    waited = patient.waits
    completion.close()

    assert ended
    assert waited
    assert patient.ends()
    assert completion.is_closed()
    assert Waiter(completion, [1]).ends()


def test_what_ended_badly_is_remembered() -> None:
    """Until it is tried again."""
    completion = CompletionWaiters()
    tell(completion, (1, TaskState.FAILED), (2, TaskState.SUCCEEDED), (3, TaskState.CANCELLED))

    before = completion.bad([1, 2, 3, 4])
    completion.forget([1])

    assert (2, 1) == (before, completion.bad([1, 2, 3, 4]))
