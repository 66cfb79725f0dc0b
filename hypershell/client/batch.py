"""What goes to the server with one call, and how much of it."""

from typing import NamedTuple

from hypershell.core.begun import Begun
from hypershell.core.outcome import Outcome

_LARGEST_BATCH = 5000
_MAX_BYTES = 8 * 2**20
"""Bytes of output in one batch, not counting its last outcome: far below a frame's limit."""


class Batch(NamedTuple):
    """Outcomes to give, how many claims to ask for in all (`want`), and what began to tell."""

    outcomes: list[Outcome]
    want: int
    begun: list[Begun]


def batch_size(outcomes: list[Outcome]) -> int:
    """How many of these, from the first, go in one batch."""
    size = 0
    for number, outcome in enumerate(outcomes[:_LARGEST_BATCH], start=1):
        size += len(outcome.out) + len(outcome.err)
        if size >= _MAX_BYTES:
            return number
    return _LARGEST_BATCH
