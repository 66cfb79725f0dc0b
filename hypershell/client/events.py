"""What the threads of a client tell its main thread, which alone decides when to go."""

from dataclasses import dataclass

from hypershell.wire.worker_messages import Phase


@dataclass(frozen=True, slots=True)
class SignalCame:
    """The process was sent a signal that is to end it."""

    number: int


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    """The server says that the run has come to this phase."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class BufferDrained:
    """Nothing runs any more, and nothing will be started."""

    all_accepted: bool
    """Whether the server has accepted all outcomes too, and sends nothing more."""


@dataclass(frozen=True, slots=True)
class LoopFailed:
    """A thread of the client ended by an error."""

    name: str
    error: Exception


ClientEvent = SignalCame | PhaseChanged | BufferDrained | LoopFailed
