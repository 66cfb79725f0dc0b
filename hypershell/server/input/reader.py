"""What a run reads: records with their numbers, and how tasks are made of them."""

from collections.abc import Callable
from typing import Protocol

from hypershell.core.errors import StartError
from hypershell.server.input.forms import TaskMaker


class RecordReader(Protocol):
    """Reads the records of an input as they come.

    `path` names the input, "-" if it cannot be read again. At its end `ended` is set, with `error`
    if it could not be read to its end.
    """

    path: str
    maker: TaskMaker
    ended: bool
    error: StartError | None

    @property
    def fingerprint(self) -> bytes:
        """What makes another run of the same records; b"" for nothing."""

    @property
    def lines_read(self) -> int:
        """How many records were read so far, tasks or not."""

    def read(self, timeout: float | None) -> list[tuple[int, bytes]]:
        """Records that are there, with their numbers, waiting for the first up to `timeout`."""

    def skip(self, number: int, each: Callable[[bytes], None]) -> bool:
        """Skip this many records, passing each to `each`; False if there are fewer."""

    def is_ready(self) -> bool:
        """Whether a read would return at once."""

    def refuse(self, number: int, reason: str) -> None:
        """A record cannot be a task: the input ends here."""

    def wake(self) -> None:
        """End the wait of a read that is under way."""

    def close(self) -> None:
        """Close what is open."""
