"""Says which client fails whatever it is given, while others succeed: a machine without a disk or
a program takes tasks faster than any other.

It compares a client with the others over the same time, so that a stretch of lines that fail
everywhere says nothing about a client.
"""

import logging
from typing import NamedTuple

from hypershell.core.ending import CountsAs
from hypershell.server.events import ClientJoined, ClientSetAside, EventBus, OutcomesRecorded
from hypershell.store.tasks.journal import Recorded

log = logging.getLogger(__name__)

_LEAST_FAILURES = 10
"""In a row: lines that are broken come in groups, too."""

_LEAST_SUCCESSES = 3
_CHANCE = 1e-6
"""How likely such a row may be for a client that is as good as the others."""


class _Row(NamedTuple):
    """Failures of a client in a row, and how the run stood before the first of them."""

    number: int
    succeeded: int
    failed: int


class FailingClients:
    """Hears of outcomes in the receiver's thread. Each client is named once."""

    def __init__(self) -> None:
        self._hosts: dict[str, str] = {}
        self._rows: dict[str, _Row] = {}
        self._named: set[str] = set()
        self._succeeded = 0
        self._failed = 0

    def subscribe(self, bus: EventBus) -> None:
        """Hear of clients and of what they did."""
        bus.subscribe(self.note_client, ClientJoined)
        bus.subscribe(self.note_outcomes, OutcomesRecorded)
        bus.subscribe(lambda event: self._named.add(event.client_id), ClientSetAside)

    def note_client(self, event: ClientJoined) -> None:
        """This client runs on this host."""
        self._hosts[event.client_id] = event.host

    def note_outcomes(self, event: OutcomesRecorded) -> None:
        """Count what was recorded, and name who stands out by it."""
        for recorded in event.recorded:
            if recorded.outcome.ok:
                self._succeeded += 1
                if self._rows:
                    self._rows.pop(recorded.client, None)
            elif recorded.outcome.ending.counts_as is CountsAs.FAILURE:
                self._note_failure(recorded)
        for client, row in self._rows.items() if self._rows else ():
            if row.number >= _LEAST_FAILURES and client not in self._named:
                self._judge(client, row)

    def _note_failure(self, recorded: Recorded) -> None:
        row = self._rows.get(recorded.client) or _Row(0, self._succeeded, self._failed)
        self._rows[recorded.client] = row._replace(number=row.number + 1)
        self._failed += 1

    def _judge(self, client: str, row: _Row) -> None:
        succeeded = self._succeeded - row.succeeded  # none of them on this client
        failed = self._failed - row.failed - row.number
        share = (failed + 1) / (failed + succeeded + 2)
        if succeeded < _LEAST_SUCCESSES or share**row.number > _CHANCE:
            return
        self._named.add(client)
        log.warning(
            "client %s on %s failed %d tasks in a row, while %d of %d succeeded elsewhere; "
            "something may be wrong with that machine",
            client,
            self._hosts.get(client, "an unknown host"),
            row.number,
            succeeded,
            succeeded + failed,
        )
