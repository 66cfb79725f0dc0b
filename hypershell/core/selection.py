"""Which tasks are meant."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Selection:
    """Tasks by id."""

    ids: tuple[int, ...] = ()


class Changed(NamedTuple):
    """How many tasks were changed, how many of those run, and how many could not be changed."""

    changed: int
    running: int = 0
    refused: int = 0
