"""The worker plane of the server: what clients call. It gives to the finished queue and takes
from the scheduled queue, in one round trip.
"""

import logging
import math
from collections.abc import Callable
from typing import Any

from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim, command_of
from hypershell.core.task_spec import DEFAULT_SPEC, ClientSpecs, TaskSpec
from hypershell.core.units import counted
from hypershell.server.planes.late_outcomes import LateOutcomes
from hypershell.server.state.client import Client
from hypershell.server.state.finished_queue import Batch, FinishedQueue
from hypershell.server.state.registry import ClientRegistry, Departure
from hypershell.server.state.scheduled_queue import ScheduledQueue
from hypershell.server.state.unwritten import UnwrittenOutput
from hypershell.wire.worker_messages import (
    Answer,
    Phase,
    pack_answer,
    pack_welcome,
    printable,
    unpack_begun,
    unpack_hello,
    unpack_outcome,
    unpack_pairs,
    unpack_unwritten,
)

log = logging.getLogger(__name__)

MAX_WAIT = 3600.0
"""Seconds for which a call may ask to be parked."""

_LEAVE_SECONDS = 5.0
"""How long a client that leaves waits until its tasks are rescheduled."""


class WorkerService:
    """The object that serves the worker plane. Its public methods, and nothing else, are the verbs.

    `default_spec` is what the run gives to tasks that say nothing themselves.
    All arguments come from peers: each verb checks them and raises ValueError.
    """

    def __init__(
        self,
        registry: ClientRegistry,
        scheduled: ScheduledQueue,
        finished: FinishedQueue,
        late: LateOutcomes,
        default_spec: TaskSpec = DEFAULT_SPEC,
        unwritten: UnwrittenOutput | None = None,
        limit_of: Callable[[str], float | None] = lambda share: None,
    ) -> None:
        self._unwritten = UnwrittenOutput() if unwritten is None else unwritten
        self._registry = registry
        self._scheduled = scheduled
        self._finished = finished
        self._late = late
        self._specs = ClientSpecs(default_spec, limit_of)
        self._patience = registry.call_seconds / 2

    def join(self, packed: Any) -> list[Any]:
        """Take a client in, or back after a broken connection."""
        hello = unpack_hello(packed)
        welcome = self._registry.join(hello)
        if welcome.session == 1:
            log.info(
                "client %s joined from %s (pid %d, %s)",
                welcome.client_id,
                hello.host,
                hello.pid,
                counted(hello.slots, "slot"),
            )
            if hello.offer.seconds < math.inf:
                self._scheduled.note_end()
            return pack_welcome(welcome)
        log.info("client %s reconnected", welcome.client_id)
        self._scheduled.wake_all()  # a call of the older session must not take anything more
        client, never_arrived = self._registry.missing(hello)
        if never_arrived:
            self._finished.put(client, never_arrived)  # a client that comes back waits for nothing
        return pack_welcome(welcome)

    def exchange(
        self, client_id: Any, session: Any, outcomes: Any, want: Any, wait: Any, begun: Any
    ) -> list[Any]:
        """Give outcomes, take claims; the outcomes are recorded when this returns.

        Those that cannot be recorded for now are not `accepted`: the client lives on and asks
        again, however long that lasts.
        """
        match client_id, session, outcomes, want, wait, begun:
            case str(), int(), list(), int(), int() | float(), list() if 0 <= wait <= MAX_WAIT:
                pass
            case _:
                raise ValueError("not an exchange")
        given = [unpack_outcome(outcome) for outcome in outcomes]
        told = [unpack_begun(each) for each in begun]
        client = self._registry.hear(client_id, session)
        if client is None:
            return pack_answer(Answer(False, self._scheduled.phase, []))
        try:
            if told:
                self._registry.note_begun(client, told)
            if not self._record(client, given):
                phase = Phase.OVER if self._finished.is_closed else self._scheduled.phase
                cancelled = self._scheduled.cancelled(client, session)
                return pack_answer(Answer(True, phase, [], cancelled, accepted=False))
            tasks = self._scheduled.take(client, session, want, float(wait))
        finally:
            self._registry.answered(client)
        plain, packed = self._specs.plain, self._specs.of
        claims = [
            Claim(
                t.id,
                t.lease,
                t.attempt,
                command_of(t.line),
                plain if t.spec is DEFAULT_SPEC else packed(t.spec),
                t.number,
            )
            for t in tasks
        ]
        cancelled = self._scheduled.cancelled(client, session)
        slots, client.new_slots = client.new_slots, 0
        return pack_answer(Answer(True, self._scheduled.phase, claims, cancelled, slots=slots))

    def _record(self, client: Client, given: list[Outcome]) -> bool:
        """Whether what a client gives has been recorded, waiting for it for half of its call."""
        if not given:
            return True
        batch = Batch(client, given)
        batch.outcomes, earlier = self._registry.begin_giving(client, given, batch.done)
        while earlier is not None:
            # It gives again what is still to be recorded: no second batch, while the first waits.
            if not earlier.wait(self._patience):
                return False
            batch.outcomes, earlier = self._registry.begin_giving(client, given, batch.done)
        return not batch.outcomes or self._finished.give(batch, self._patience)

    def hand_in(
        self, client_id: Any, session: Any, earlier_id: Any, secret: Any, outcomes: Any
    ) -> int | None:
        """Take what a client earned under an id that was given up, as far as it still counts.

        Returns how many of the outcomes were taken; None if the client is not known as it is now.
        """
        match client_id, session, earlier_id, secret, outcomes:
            case str(), int(), str(), str(), list():
                pass
            case _:
                raise ValueError("not outcomes of an earlier time")
        given = [unpack_outcome(outcome) for outcome in outcomes]
        client = self._registry.hear(client_id, session)
        if client is None:
            return None
        try:
            return self._late.take(client.id, earlier_id, secret, given) if given else 0
        finally:
            self._registry.answered(client)

    def beat(self, client_id: Any, session: Any, load: Any, memory: Any) -> None:
        """How busy a client's machine is, for `info` to show."""
        match client_id, session, load, memory:
            case str(), int(), float(), float() if 0 <= load <= 1e6 and 0 <= memory <= 100:
                pass
            case _:
                raise ValueError("not a beat")
        client = self._registry.hear(client_id, session)
        if client is not None:
            client.load, client.memory_percent = load, memory
            self._registry.answered(client)

    def unwritten(self, client_id: Any, unwritten: Any) -> None:
        """What a client could not write of the output of its tasks so far, or in the end."""
        if type(client_id) is not str:
            raise ValueError("not a client")
        said = unpack_unwritten(unwritten)
        host = self._registry.host_of(client_id)
        if self._unwritten.note(client_id, host, said) and said.size:
            log.info("client %s cannot write the output of its tasks: %s", client_id, said.reason)

    def leave(self, client_id: Any, reason: Any, dead: Any, begun: Any, interrupted: Any) -> None:
        """A client leaves, or its supervisor reports its death; its tasks are rescheduled."""
        match client_id, reason, dead:
            case str(), str(), bool():
                pass
            case _:
                raise ValueError("not a leave")
        departure = Departure(dead, unpack_pairs(begun), unpack_pairs(interrupted))
        gone = self._registry.leave(client_id, departure)
        if gone is None:
            return
        client, held = gone
        self._scheduled.wake_all()  # a call of its own that is parked must not take anything more
        level = logging.WARNING if held else logging.INFO
        log.log(
            level,
            "client %s left: %s%s",
            client.id,
            printable(reason[:200]),
            f"; rescheduling its {counted(len(held), 'task')}" if held else "",
        )
        if held:
            self._finished.give(Batch(client, held), min(self._patience, _LEAVE_SECONDS))
