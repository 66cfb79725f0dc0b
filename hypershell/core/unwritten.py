"""What a client could not write of the output of its tasks."""

from typing import NamedTuple

from hypershell.core.units import counted


class Unwritten(NamedTuple):
    """Lines of output, and their bytes, that are not where they belong, and why.

    Until it `is_final` the client goes on trying, and what it says next takes the place of this.
    """

    lines: int
    size: int
    reason: str
    is_final: bool = False

    @property
    def text(self) -> str:
        """How much it is, and why, as a message says it."""
        return f"{counted(self.lines, 'line')} ({counted(self.size, 'byte')}): {self.reason}"
