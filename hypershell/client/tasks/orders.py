"""What other threads want of the executor: to stop what runs, to stop some, to run again."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Stop(NamedTuple):
    """Stop all that runs: TERM to each session, KILL after the grace."""

    grace_seconds: float


class Cancel(NamedTuple):
    """Stop those that run under these (task id, lease), and no others."""

    pairs: tuple[tuple[int, int], ...]


class Resume(NamedTuple):
    """Run tasks again, as soon as all that are being stopped are gone."""


Order = Stop | Cancel | Resume


class Orders:
    """Given by any thread, each returning at once; taken by the executor, in the same order.

    `wake` ends the executor's wait.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.pending: deque[Order] = deque()
        """What the executor has not taken yet, the oldest first."""
        self.stop_obeyed = False
        """Whether the executor took a stop, and has not resumed since. Only it may set this."""

    def stop(self, grace_seconds: float) -> None:
        """See Stop."""
        self.pending.append(Stop(grace_seconds))
        self._wake()

    def cancel(self, pairs: Iterable[tuple[int, int]]) -> None:
        """See Cancel."""
        self.pending.append(Cancel(tuple(pairs)))
        self._wake()

    def resume(self) -> None:
        """See Resume."""
        self.pending.append(Resume())
        self._wake()

    def stopping(self) -> bool:
        """Whether tasks are being stopped, or are to be; only the executor's thread may ask."""
        return self.stop_obeyed or any(isinstance(order, Stop) for order in tuple(self.pending))
