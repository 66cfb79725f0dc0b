"""What a run of a server is told to do."""

from dataclasses import dataclass, field

from hypershell.core.task import Policy


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a run is to do. Times are in seconds. One that is `endless` waits for more tasks."""

    bundlesize: int = 1
    bundlewait: float = 5.0
    policy: Policy = field(default_factory=Policy)
    lease: float = 30.0
    grace: float = 5.0
    endless: bool = False
    joblog: str | None = None
