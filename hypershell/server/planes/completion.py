"""Lets calls wait for tasks to become final; it subscribes to TasksFinal."""

from collections.abc import Callable, Collection, Iterable

from hypershell.core.state import TaskState
from hypershell.runtime import clock, threads
from hypershell.server.events import TasksFinal

_MAX_REMEMBERED = 100_000
"""Tasks that did not succeed whose states are remembered, for those who ask afterwards."""


class CompletionWaiters:
    """Safe to use from several threads; costs next to nothing while nobody waits."""

    def __init__(self) -> None:
        self._lock = threads.lock("completion")
        self._watches: list[_Watch] = []
        self._bad: dict[int, TaskState] = {}
        self._closed = False

    def note_final(self, event: TasksFinal) -> None:
        """These tasks became final."""
        with self._lock:
            for task_id, state in event.tasks:
                if state is not TaskState.SUCCEEDED:
                    self._remember(task_id, state)
            for watch in self._watches:
                watch.note(task_id for task_id, _ in event.tasks)

    def bad(self, task_ids: Iterable[int]) -> int:
        """How many of these ended otherwise than well, as far as that is remembered."""
        with self._lock:
            return sum(task_id in self._bad for task_id in task_ids)

    def forget(self, task_ids: Iterable[int]) -> None:
        """These are tried again."""
        with self._lock:
            for task_id in task_ids:
                self._bad.pop(task_id, None)

    def wait(
        self, find: Callable[[], Collection[int]], is_over: Callable[[], bool], seconds: float
    ) -> None:
        """Return when the tasks that `find` names are final, after `seconds` at the latest.

        Also when `is_over`, which is looked at whenever something became final: then nothing
        more is going to be. `find` is asked once, when no news can be missed any more.
        """
        deadline = clock.monotonic() + seconds
        watch = _Watch(is_over)
        with self._lock:
            if self._closed:
                return
            self._watches.append(watch)
        try:
            ids = set(find())
            with self._lock:
                watch.expect(ids)
            watch.ended.wait(max(0.0, deadline - clock.monotonic()))
        finally:
            with self._lock:
                self._watches.remove(watch)

    def is_closed(self) -> bool:
        """Whether nothing more becomes final."""
        with self._lock:
            return self._closed

    def close(self) -> None:
        """Nothing more becomes final: let all waiting calls go."""
        with self._lock:
            self._closed = True
            for watch in self._watches:
                watch.ended.set()

    def _remember(self, task_id: int, state: TaskState) -> None:
        self._bad[task_id] = state
        if len(self._bad) > _MAX_REMEMBERED:
            del self._bad[next(iter(self._bad))]


class _Watch:
    """Tasks that somebody waits for; until they are known, all that become final meanwhile."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self.ended = threads.event()
        self._is_over = is_over
        self._pending: set[int] | None = None
        self._meanwhile: set[int] = set()

    def note(self, task_ids: Iterable[int]) -> None:
        if self._pending is None:
            self._meanwhile.update(task_ids)
            return
        self._pending.difference_update(task_ids)
        self._look()

    def expect(self, task_ids: set[int]) -> None:
        self._pending = task_ids - self._meanwhile
        self._meanwhile.clear()
        self._look()

    def _look(self) -> None:
        if not self._pending or self._is_over():
            self.ended.set()
