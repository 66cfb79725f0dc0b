"""The reports of a run: what writes down, as it happens, what became of its tasks.

A report subscribes to the events that it writes about, and has a loop of its own, as a reader may
be slow: a subscriber puts lines into its spool and returns at once.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from hypershell.server.events import EventBus


class Report(Protocol):
    """One of them; `Spool` has all of it but `subscribe`."""

    loop_name: str

    def subscribe(self, bus: EventBus) -> None:
        """Hear of what is to be written."""

    def one_pass(self) -> bool:
        """Write what is here, waiting for it; False when closed and all is written."""

    def close(self, patient: bool) -> None:
        """Write what is here and end; if not `patient`, without waiting for a slow reader."""

    def finish(self) -> int:
        """After the last pass: how many lines could not be written, having said so."""


class Reports:
    """All reports of a run, in the order in which they hear of events."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports

    def subscribe(self, bus: EventBus) -> None:
        """Let each subscribe to what it writes about."""
        for report in self._reports:
            report.subscribe(bus)

    def passes(self) -> dict[str, Callable[[], bool]]:
        """The pass of each loop, by its name."""
        return {report.loop_name: report.one_pass for report in self._reports}

    def close(self, patient: bool) -> None:
        """Close all: each loop ends when its lines are written; see Report."""
        for report in self._reports:
            report.close(patient)

    def finish(self) -> int:
        """After the last pass: how many lines could not be written."""
        return sum(report.finish() for report in self._reports)
