"""How thoroughly to measure, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """`place` is an empty directory that goes away afterwards; `quick` is for a look, not for
    the record: fewer and smaller runs."""

    place: Path
    rounds: int
    quick: bool
    slots: tuple[int, ...] = (2, 4)

    def some(self, full: int, quick: int) -> int:
        return quick if self.quick else full
