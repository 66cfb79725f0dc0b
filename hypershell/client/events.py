"""What the threads of a client tell its main thread, which alone decides when to go."""

from typing import NamedTuple

from hypershell.wire.worker_messages import Phase, Welcome


class SignalCame(NamedTuple):
    """The process was sent a signal that is to end it."""

    number: int


class PhaseChanged(NamedTuple):
    """The server says that the run has come to this phase."""

    phase: Phase


class BufferDrained(NamedTuple):
    """Nothing runs any more, and nothing will be started."""

    all_accepted: bool
    """Whether the server has accepted all outcomes too, and sends nothing more."""


class LoopFailed(NamedTuple):
    """A thread of the client ended by an error."""

    name: str
    error: Exception


class JoinEnded(NamedTuple):
    """An attempt to join for the first time has ended, well or not."""

    result: Welcome | Exception


class TasksUsedUp(NamedTuple):
    """The last task that this client may start was started."""


class PauseAsked(NamedTuple):
    """The tasks are to stand still: the launcher stops, or this client, by Ctrl-Z."""

    by_launcher: bool


class PauseOver(NamedTuple):
    """The launcher goes on."""

    heard_at: float | None
    """The boot time from which the server counts the lease; None if it went on meanwhile."""


ClientEvent = (
    SignalCame
    | PhaseChanged
    | BufferDrained
    | LoopFailed
    | JoinEnded
    | TasksUsedUp
    | PauseAsked
    | PauseOver
)
