"""What a run of a server is told to do, and how it ended."""

from dataclasses import dataclass, field

from hypershell.core.errors import StartError
from hypershell.core.retry import Policy
from hypershell.store.tasks.tally import Counts


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a run is to do. Times are in seconds. One that is `endless` waits for more
    tasks; one that `resumes` goes on with an input where an earlier one was."""

    bundlesize: int = 1
    bundlewait: float = 5.0
    policy: Policy = field(default_factory=Policy)
    lease: float = 30.0
    grace: float = 5.0
    endless: bool = False
    resumes: bool = False
    joblog: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: what became of the tasks, and why it ended early, if it did."""

    counts: Counts
    seconds: float
    signal: int = 0
    stopped: bool = False
    error: StartError | None = None
    failure: Exception | None = None
    unfinished_numbers: tuple[int, ...] = ()
    failed_numbers: tuple[int, ...] = ()
    unread_from: int = 0
    unwritten: int = 0
