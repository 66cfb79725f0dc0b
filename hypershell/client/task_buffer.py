"""What a client's threads share: claims that are ready to start, outcomes that are to be given.

The executor takes claims and leaves outcomes; the fetcher and the returner do the reverse: both put
claims, and the returner alone takes batches. The main thread drains it, and waits for what runs.

The invariant: every claim that came is in exactly one place (ready, running, an outcome that is
held, an outcome that waits, an outcome in the batch under way) until the server has accepted its
outcome, or until it is dropped because it is not ours any more. `held` is all of these, and is what
a client that joins again says it has. A claim leaves as one outcome and in order: what was given
back, cancelled or not accepted goes through the same list. What has begun is in the table shared
with the supervisor (`begun_table`) from before it is started until its outcome is accepted.

The lock "task buffer" guards all of it; it may be taken inside "client session", and nothing is
taken inside it: `drained` is called under it and must only put an event somewhere, while
`wake_executor`, a system call, is called after it was let go. The order that matters: a claim
counts as running before it is started, and a batch stays here, as `_given`, until it is accepted;
and the executor says that it waits (`_executor_waits`) under the same lock under which claims are
put, so that no claim comes unnoticed.
"""

import math
from collections.abc import Callable, Iterable

from hypershell.client.batch import Batch, batch_size
from hypershell.client.begun_news import BegunNews, Started
from hypershell.client.begun_table import SPARE_ENTRIES, BegunTable, Pair
from hypershell.client.early_cancels import EarlyCancels
from hypershell.client.held_outcomes import HeldOutcomes, is_doubtful
from hypershell.client.prefetch import Prefetch
from hypershell.client.ready_claims import ReadyClaims
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.resources import NOTHING, Offer, expected_seconds
from hypershell.core.task import Claim
from hypershell.runtime import clock, threads

OLDEST_SECONDS = 0.05
"""Seconds that an outcome may wait for others while there is plenty to run."""

_END_SLACK = 1.0
"""Seconds by which the server may see the end of this client later than it does itself."""

EXCESS_SECONDS = 0.2
"""How long a client may hold more than it needs: another may have nothing to do."""


class TaskBuffer:
    """Safe to use from several threads.

    `wake_executor` is called when it has something to do; after `drain`, `drained` when nothing
    runs any more, with whether the server has accepted all outcomes, and will send nothing more.
    Without a table of what has begun it has one of its own. The `offer` is for tasks with needs; no
    task is started that would not be over at the boot time `ends_at`. `used_up` is how many tasks
    may be started in all, and what is called when the last of them was.
    """

    def __init__(
        self,
        slots: int,
        wake_executor: Callable[[], None],
        drained: Callable[[bool], None],
        begun: BegunTable | None = None,
        offer: Offer = NOTHING,
        ends_at: float = math.inf,
        used_up: tuple[int | None, Callable[[], None]] = (None, lambda: None),
    ) -> None:
        self._slots = slots
        self._wake_executor = wake_executor
        self._drained = drained
        self._changed = threads.condition("task buffer")
        self._ready = ReadyClaims(slots, offer)
        self._ends_at, self._has_end = ends_at, ends_at != math.inf
        self._left, self._used_up = used_up
        self._running: dict[Pair, Claim] = {}
        self._begun = begun or BegunTable(slots + SPARE_ENTRIES)
        self._news = BegunNews()
        self._held = HeldOutcomes()
        self._cancelled = EarlyCancels()
        self._outcomes: list[Outcome] = []
        self._given: list[Outcome] = []
        self._oldest = 0.0
        self._low = 0
        self._executor_waits = False
        self._start_by = math.inf
        self._asked = -1
        self._prefetch = Prefetch(slots)
        self._round_trip = 0.001
        self._draining = False
        self._server_knows = False  # that we want nothing more: no claim is on its way to us
        self._excess_since = 0.0
        self._last_busy = clock.monotonic()

    # The executor's side.

    def start_next(self) -> Claim | None:
        """The next claim, which counts as running and begun from now on; None if none is ready."""
        with self._changed:
            may_start = self._left != 0 and self._may_start()
            claim = self._ready.take(len(self._running)) if may_start else None
            while self._has_end and claim is not None and self._takes_too_long(claim):
                self._ready.ended(claim)
                self._put_ended([Outcome(claim.task_id, claim.lease, Ending.GIVEN_BACK)])
                self._changed.notify_all()
                claim = self._ready.take(len(self._running))
            if claim is None:
                self._executor_waits = True
                return None
            self._running[claim.task_id, claim.lease] = claim
            self._begun.mark(claim.task_id, claim.lease)
            if self._left is not None:
                self._left -= 1
                if not self._left:
                    self._used_up()
            return claim

    def _takes_too_long(self, claim: Claim) -> bool:
        """Whether a task would not be over when this client must end."""
        seconds = expected_seconds(claim.spec)
        left = self._ends_at - clock.boottime()
        return seconds is not None and seconds > left + _END_SLACK

    def _may_start(self) -> bool:
        """Whether the lease lasts, and what begins can be noted."""
        return clock.boottime() < self._start_by and bool(self._begun.room or self._begun.grow())

    def may_start_until(self, at: float) -> None:
        """Nothing is started from this boot time on: others may have the claims then.

        This client may have stood still, and its supervisor may be gone.
        """
        with self._changed:
            self._start_by = at
            wake = self._executor_waits and bool(self._ready)
            if wake:
                self._executor_waits = False
        if wake:
            self._wake_executor()

    def note_started(self, started: Started) -> None:
        """A claim was started: what process it is. Takes no lock."""
        self._news.note_started(started)
        claim = started.claim
        self._begun.started((claim.task_id, claim.lease), started.pid)

    def put_back(self, claim: Claim) -> None:
        """A claim could not be started just now; it stays the next, if it is still ours."""
        with self._changed:
            pair = claim.task_id, claim.lease
            if self._running.pop(pair, None) is None:
                return
            self._begun.forget(pair)
            self._ready.put_back(claim)
            if self._left is not None:
                self._left += 1
            if self._draining:
                self._give_back(0)
                self._changed.notify_all()

    def put_outcomes(self, outcomes: list[Outcome]) -> None:
        """Tasks have ended. What a signal to all may have ended is held for a second."""
        now = clock.monotonic()
        with self._changed:
            # What ended for a server that is gone is nobody's outcome.
            ran = self._running
            ended = [(o, ran.pop((o.task_id, o.lease), None)) for o in outcomes]
            outcomes = [outcome for outcome, claim in ended if claim is not None]
            if self._ready.has_needs:
                for _, claim in ended:
                    if claim is not None:
                        self._ready.ended(claim)
            has_failures = False
            for outcome in outcomes:
                if outcome.ending.ran:
                    self._prefetch.learn(outcome.seconds, now)
                if outcome.code or outcome.ending:
                    has_failures = True
            self._news.ended(outcomes)
            if has_failures:
                outcomes = self._sift(outcomes, now)
            self._last_busy = now
            first = not self._outcomes
            if first:
                self._oldest = now
            self._outcomes += outcomes
            self._report_if_drained()
            if first or len(self._ready) <= self._low:
                self._changed.notify_all()

    # The side of the fetcher and the returner.

    def put_claims(self, claims: Iterable[Claim]) -> None:
        """Claims have come from the server."""
        with self._changed:
            self._ready.extend(claims)
            if self._cancelled:
                self._cancel_ready()
            if self._draining:
                self._give_back(0)
            self._changed.notify()
            wake, self._executor_waits = self._executor_waits and bool(self._ready), False
        if wake:
            self._wake_executor()

    def next_batch(self, timeout: float) -> Batch | None:
        """What to give, to tell and to ask for, when it is time to.

        Waits up to `timeout` seconds for that; None if nothing is due by then. The outcomes stay
        here until `accepted` or `not_accepted`.
        """
        deadline = clock.monotonic() + timeout
        with self._changed:
            while True:
                now = clock.monotonic()
                self._release_held(now)
                want = self._appraise(now)
                if self._is_due(want, now):
                    number = batch_size(self._outcomes)
                    self._given = self._outcomes[:number]
                    self._outcomes = self._outcomes[number:]
                    self._asked = want
                    return Batch(self._given, want, self._news.take(now, self._running))
                if now >= deadline:
                    return None
                self._changed.wait(min(deadline - now, self._next_look(now)))

    def accepted(self, round_trip_seconds: float) -> None:
        """The server has recorded what the last batch gave."""
        with self._changed:
            self._server_knows = self._draining and self._asked == 0
            for outcome in self._given:
                self._begun.forget((outcome.task_id, outcome.lease))
            self._given = []
            self._news.arrived()
            if self._begun.is_empty:
                self._changed.notify_all()  # somebody may wait for that
            self._round_trip += 0.25 * (round_trip_seconds - self._round_trip)
            self._report_if_drained()
            # It waited for room in the table.
            wake = self._executor_waits and bool(self._ready) and self._begun.room > 0
            if wake:
                self._executor_waits = False
        if wake:
            self._wake_executor()

    def not_accepted(self) -> None:
        """The last batch may not have arrived: it goes again, before all others."""
        with self._changed:
            self._outcomes = self._given + self._outcomes
            self._given = []
            self._news.did_not_arrive()
            self._asked = -1

    def tell_to_end(self) -> None:
        """The client is told to end: what signals may have ended in the last second was part of it.

        As is what they end in the next second. May be called by any thread; returns at once.
        """
        with self._changed:
            interrupted = self._held.tell_to_end(clock.monotonic())
            self._put_ended(interrupted)
            self._report_if_drained()
            self._changed.notify_all()

    def begun(self) -> tuple[list[Pair], list[Pair]]:
        """Tasks that have begun and whose outcome is not accepted: lost, and interrupted ones."""
        with self._changed:
            return self._begun.read()

    def set_slots(self, slots: int) -> None:
        """Run so many tasks at a time from now on."""
        with self._changed:
            self._slots = slots
            self._ready.set_slots(slots)
            self._prefetch.set_slots(slots)
            self._changed.notify_all()
            wake, self._executor_waits = self._executor_waits and bool(self._ready), False
        if wake:
            self._wake_executor()

    def cancel(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Begin none of these, which are cancelled; those that run are returned.

        One that is still on its way here is not begun either.
        """
        now = clock.monotonic()
        with self._changed:
            asked = set(pairs)
            running = [pair for pair in asked if pair in self._running]
            ended = {(o.task_id, o.lease) for o in (*self._outcomes, *self._given, *self._held)}
            self._cancelled.note(asked.difference(running, ended), now)
            self._cancel_ready()
            self._report_if_drained()
            self._changed.notify_all()
        return running

    def drop(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Forget claims that are no longer ours; those that run stay, and are returned."""
        gone = set(pairs)
        with self._changed:
            self._ready.remove(lambda claim: (claim.task_id, claim.lease) in gone)
            self._outcomes = [o for o in self._outcomes if (o.task_id, o.lease) not in gone]
            self._held.drop(gone)
            running = [pair for pair in gone if pair in self._running]
            for pair in gone.difference(running):
                self._begun.forget(pair)
            self._report_if_drained()
            return running

    def go_on(self, draining: bool) -> None:
        """The server was started again, and what is here is still ours: ask it for more."""
        with self._changed:
            self._draining = draining
            self._server_knows = False
            self._asked = -1
            self._news.start_over()
            self._changed.notify_all()

    def outcomes_of(self, pairs: Iterable[Pair]) -> list[Outcome]:
        """The outcomes that are here of these tasks, as far as they began."""
        wanted = set(pairs)
        with self._changed:
            return [o for o in self._earned() if (o.task_id, o.lease) in wanted]

    def number_earned(self) -> int:
        """How many outcomes are here of tasks that began."""
        with self._changed:
            return len(self._earned())

    def start_over(self, draining: bool) -> list[Outcome]:
        """Forget all that is here: it belongs to a server that is gone, or to others by now.

        The outcomes that it had of tasks that began are returned: the server may still want them.
        """
        with self._changed:
            earned = self._earned()
            self._draining = draining
            self._server_knows = False
            self._ready.clear()
            self._running.clear()
            self._cancelled.clear()
            self._outcomes, self._given = [], []
            self._held.clear()
            self._begun.clear()
            self._news.clear()
            self._asked = -1
            self._changed.notify_all()
            self._report_if_drained()
        return earned

    def drain(self) -> None:
        """Start nothing more: what is ready goes back."""
        with self._changed:
            self._draining = True
            self._give_back(0)
            self._changed.notify_all()
            self._report_if_drained()

    def held(self) -> tuple[tuple[int, int, bool], ...]:
        """All that is here, running or ended and not accepted: task, lease and whether it began."""
        with self._changed:
            held = [(claim.task_id, claim.lease) for claim in self._ready.all()]
            held += self._running
            ended = (*self._held, *self._outcomes, *self._given)
            held += [(outcome.task_id, outcome.lease) for outcome in ended]
            return tuple((*pair, pair in self._begun) for pair in held)

    def number_running(self) -> int:
        """How many tasks run."""
        return len(self._running)

    def is_running(self) -> bool:
        """Whether anything runs."""
        return bool(self._running)

    def wait_until_stopped(self, timeout: float) -> bool:
        """Wait until nothing runs, up to `timeout` seconds; whether nothing does."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout)

    def wait_until_accepted(self, timeout: float) -> bool:
        """Wait until the server has the outcomes of all that began, up to `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._begun.is_empty, timeout)

    def idle_seconds(self) -> float:
        """For how long there has been nothing to do; 0 while there is."""
        with self._changed:
            if self._ready or self._running or self._held:
                self._last_busy = clock.monotonic()
            return clock.monotonic() - self._last_busy

    def wake(self) -> None:
        """End a wait for a batch."""
        with self._changed:
            self._changed.notify_all()

    def _earned(self) -> list[Outcome]:
        ended = (*self._given, *self._outcomes, *self._held)
        return [outcome for outcome in ended if outcome.ending.tried]

    def _sift(self, outcomes: list[Outcome], now: float) -> list[Outcome]:
        """Those of these outcomes that go to the server at once; the others are held."""
        given, held = self._held.sift(outcomes, now)
        for outcome in (*given, *held):
            if not outcome.ending.ran:
                self._begun.forget((outcome.task_id, outcome.lease))  # no process was started
            # If this client dies before the server has the outcome, that was the end it heard of.
            if outcome.ending is Ending.INTERRUPTED or is_doubtful(outcome):
                self._begun.interrupted((outcome.task_id, outcome.lease))
        return given

    def _release_held(self, now: float) -> None:
        """What was held for long enough, without news that the client is to end, is an outcome."""
        if self._held and self._held.due_at() <= now:
            self._put_ended(self._held.take_due(now))
            self._report_if_drained()

    def _put_ended(self, outcomes: list[Outcome]) -> None:
        if outcomes and not self._outcomes:
            self._oldest = clock.monotonic()
        self._outcomes += outcomes

    def _report_if_drained(self) -> None:
        if self._draining and not self._running and not self._held:
            left = self._ready or self._outcomes or self._given
            self._drained(self._server_knows and not left)

    def _appraise(self, now: float) -> int:
        """How many claims to hold in all, having given back what is too many."""
        if self._draining:
            self._low = 0
            return 0
        ahead = self._prefetch.ahead(now, self._round_trip)
        self._low = ahead // 2
        if len(self._ready) <= 2 * ahead or len(self._running) < self._slots:
            self._excess_since = now
        elif now - self._excess_since > EXCESS_SECONDS:
            self._give_back(ahead)
        # What is held is a claim too, at the server, and must not keep others from coming.
        want = min(self._slots + ahead + len(self._held), self._begun.capacity)
        if self._left is None:
            return want
        ended = len(self._outcomes) + len(self._given) + len(self._held)
        return min(want, self._left + len(self._running) + ended)

    def _give_back(self, keep: int) -> None:
        """Return the claims after the first `keep` to the server: others may wait for them."""
        surplus = self._ready.give_back_all() if self._draining else self._ready.give_back(keep)
        self._put_ended([Outcome(c.task_id, c.lease, Ending.GIVEN_BACK) for c in surplus])

    def _cancel_ready(self) -> None:
        """Take those that are cancelled from what is ready: they end without having begun."""
        take = self._cancelled.take
        cancelled = self._ready.remove(lambda claim: take((claim.task_id, claim.lease)))
        self._put_ended([Outcome(c.task_id, c.lease, Ending.CANCELLED) for c in cancelled])

    def _is_due(self, want: int, now: float) -> bool:
        plenty = len(self._ready) > self._low
        if self._outcomes and (not plenty or now - self._oldest >= OLDEST_SECONDS):
            return True
        if self._news.is_due(now, self._running):
            return True
        if self._outcomes:
            return False
        if self._held and not plenty and want > self._asked:
            return True
        return self._asked < 0 or (want != self._asked and want <= self._asked // 2)

    def _next_look(self, now: float) -> float:
        """Seconds until something may be due though nothing happens."""
        look = 3600.0
        if self._outcomes:
            look = self._oldest + OLDEST_SECONDS - now
        elif self._ready:
            look = 0.1  # to see whether all slots are stalled
        if self._held:
            look = min(look, self._held.due_at() - now)
        return max(0.0, min(look, self._news.patience(now, self._running)))
