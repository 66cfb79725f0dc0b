"""What other threads want of the executor: to stop what runs, to stop some, to run again."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hypershell.runtime import threads


class Stop(NamedTuple):
    """Stop all that runs: TERM to each session, KILL after the grace."""

    grace_seconds: float


class Cancel(NamedTuple):
    """Stop those that run under these (task id, lease), and no others."""

    pairs: tuple[tuple[int, int], ...]


class Resume(NamedTuple):
    """Run tasks again, as soon as all that are being stopped are gone."""


class Pause(NamedTuple):
    """Stop the processes of all tasks by SIGSTOP, and start none; `done` is set when it is so."""

    done: threads.Event


class Continue(NamedTuple):
    """Let them run on, as if no time had passed."""


class SetSlots(NamedTuple):
    """Run so many tasks at a time from now on."""

    slots: int


Order = Stop | Cancel | Resume | Pause | Continue | SetSlots


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
        self.while_waiting: Callable[[], None] = lambda: None
        """Called whenever the executor looks up from a wait for a slow reader. It may set this."""

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

    def set_slots(self, slots: int) -> None:
        """See SetSlots."""
        self.pending.append(SetSlots(slots))
        self._wake()

    def pause(self) -> threads.Event:
        """See Pause; the event that is set when all processes are stopped."""
        done = threads.event()
        self.pending.append(Pause(done))
        self._wake()
        return done

    def go_on(self) -> None:
        """See Continue."""
        self.pending.append(Continue())
        self._wake()

    def stopping(self) -> bool:
        """Whether tasks are being stopped, or are to be; only the executor's thread may ask."""
        self.while_waiting()
        return self.stop_obeyed or any(isinstance(order, Stop) for order in tuple(self.pending))
