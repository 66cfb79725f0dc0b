"""Which tasks a run of a server takes on, beside those of its input."""

from enum import Enum


class RunMode(Enum):
    """What a run finds in its task database and makes its own."""

    FILE = "file"
    """Nothing: it runs its input, and does not touch the tasks of earlier runs."""

    RESUME = "resume"
    """The tasks of the last run of the same input, and the rest of that input."""

    RESTART = "restart"
    """All tasks that have not succeeded and were not cancelled; it reads no input."""

    FOREVER = "forever"
    """All unfinished tasks, and all that are submitted until it is stopped; it reads no input."""

    @property
    def reads_input(self) -> bool:
        """Whether such a run has an input of its own."""
        return self in (RunMode.FILE, RunMode.RESUME)
