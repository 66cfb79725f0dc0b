"""The ids of tasks, in the order in which they are given."""

import itertools
import threading
from collections.abc import Iterable


class Ids:
    """Safe to use from several threads: the intake and each submission take ids.

    The lock is its own, as the intake takes an id a line and would wait for whole batches to be
    recorded. Nothing is taken inside it; the store takes it inside its own.
    """

    def __init__(self, last: int) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(last + 1)
        self.last = last
        """The highest id so far."""

    def new(self) -> int:
        """The next id."""
        with self._lock:  # without it a slower thread could set `last` back
            self.last = next(self._ids)
            return self.last

    def note(self, task_ids: Iterable[int]) -> None:
        """These ids are in use."""
        with self._lock:
            self.last = max([self.last, *task_ids])
