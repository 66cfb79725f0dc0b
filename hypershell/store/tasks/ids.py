"""The ids of tasks, in the order in which they are given."""

from collections.abc import Iterable
from operator import length_hint

_END = 2**62


class Ids:
    """Safe to use from several threads without a lock: the intake and each submission take ids.

    A counter beside the iterator would need one: a slower thread could set it back, and a retry
    would go before tasks that were read earlier. There is none. To take an id is one step of the
    interpreter, and how many were taken is read from the iterator itself.
    """

    def __init__(self, last: int) -> None:
        self._ids = iter(range(last + 1, _END))
        self._noted = last
        self.new = self._ids.__next__

    @property
    def last(self) -> int:
        """The highest id so far."""
        return max(self._noted, _END - 1 - length_hint(self._ids))

    def note(self, task_ids: Iterable[int]) -> None:
        """Note that these ids are in use. The store calls it with its lock held."""
        self._noted = max([self._noted, *task_ids])
