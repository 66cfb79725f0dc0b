"""The task buffer, for any order of events: each claim is in one place, and ends as one outcome."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hypershell.client.prefetch import Prefetch
from hypershell.client.task_buffer import TaskBuffer
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.runtime import clock


class Clock:
    """What a buffer takes for the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Seconds that pass when the test says so."""
        return self.now


class Work(RuleBasedStateMachine):
    """A buffer between a server and an executor that the test plays."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.real_monotonic, clock.monotonic = clock.monotonic, self.clock.monotonic

    @rule(seconds=st.sampled_from([0.001, 0.03, 0.1, 1.0]))
    def time_passes(self, seconds: float) -> None:
        """What waits grows older."""
        self.clock.now += seconds

    @initialize(slots=st.integers(1, 4), number=st.integers(0, 6))
    def begin(self, slots: int, number: int) -> None:
        """A buffer, which has the first claims already or is empty."""
        self.slots = slots
        self.told: list[bool] = []
        self.buffer = TaskBuffer(slots, lambda: None, self.nothing_runs)
        self.came = 0
        self.running: dict[int, Claim] = {}
        self.batch: list[Outcome] | None = None
        self.want = -1
        self.server_knows = False
        self.is_reconnected = False
        self.accepted: Counter[int] = Counter()
        self.dropped: set[int] = set()
        self.cancelled: set[int] = set()
        self.draining = False
        self.order: list[int] = []
        self.claims_come(number)

    def nothing_runs(self, all_is_accepted: bool) -> None:
        """The buffer says that it is drained."""
        assert self.draining
        assert not self.running
        self.told.append(all_is_accepted)

    @precondition(lambda self: not self.server_knows)
    @rule(number=st.integers(0, 6))
    def claims_come(self, number: int) -> None:
        """From the server, in either connection, until it knows that none are wanted."""
        claims = [Claim(self.came + n, 1, 1, b"true") for n in range(1, number + 1)]
        self.came += number
        self.buffer.put_claims(claims)

    @rule(number=st.integers(1, 4))
    def some_start(self, number: int) -> None:
        """As many as there are; in the order in which they came."""
        for _ in range(number):
            claim = self.buffer.start_next()
            if claim is None:
                return
            assert not self.draining
            assert claim.task_id not in self.cancelled
            assert claim.task_id not in self.running
            self.order.append(claim.task_id)
            assert sorted(self.order) == self.order
            self.running[claim.task_id] = claim

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        seconds=st.sampled_from([0.0, 0.01, 60.0]),
        code=st.sampled_from([0, 1, 143]),
    )
    def some_end(self, data: st.DataObject, seconds: float, code: int) -> None:
        """Several at once, perhaps; perhaps by a signal that was sent to all."""
        ids = data.draw(st.sets(st.sampled_from(sorted(self.running)), min_size=1))
        ended = [self.running.pop(task_id) for task_id in sorted(ids)]
        before = len(self.told)
        self.buffer.put_outcomes(
            [Outcome(c.task_id, c.lease, Ending.EXITED, code, seconds=seconds) for c in ended]
        )
        if self.holds():
            assert len(self.told) == before
        else:
            self.is_told_since(before)

    def holds(self) -> bool:
        """Whether it keeps outcomes back until it is known whether it is told to end."""
        return bool(self.buffer._held)

    @rule()
    def it_is_told_to_end(self) -> None:
        """Which decides about what it holds back, and stops nothing by itself."""
        before = len(self.told)
        self.buffer.tell_to_end()
        assert not self.holds()
        self.is_told_since(before)

    @precondition(lambda self: self.running and self.order)
    @rule()
    def one_cannot_be_started(self) -> None:
        """The machine is short of something; it is tried again."""
        claim = self.running.get(self.order[-1])
        if claim is not None:
            self.buffer.put_back(self.running.pop(self.order.pop()))
            if claim.task_id in self.cancelled:
                self.buffer.cancel(
                    [(claim.task_id, 1)]
                )  # as the executor does, which has the order

    @rule(data=st.data())
    def some_are_cancelled(self, data: st.DataObject) -> None:
        """Wherever they are: perhaps accepted already, perhaps still on their way here."""
        ids = data.draw(st.sets(st.integers(1, self.came + 3)))
        running = self.buffer.cancel([(task_id, 1) for task_id in ids])
        assert {task_id for task_id, _ in running} == ids & set(self.running)
        self.cancelled |= ids

    @precondition(lambda self: self.batch is None)
    @rule()
    def a_batch_is_given(self) -> None:
        """Whatever is due now."""
        before = len(self.told)
        due = self.buffer.next_batch(0.0)
        assert len(self.told) == before or not (self.running or self.holds())
        if due is None:
            return
        outcomes, want, _ = due
        assert want == 0 if self.draining else want >= self.slots
        self.batch, self.want = outcomes, want
        self.is_reconnected = False

    @precondition(lambda self: self.batch is not None)
    @rule(arrived=st.booleans())
    def the_batch_is_answered(self, arrived: bool) -> None:
        """Or the connection broke."""
        assert self.batch is not None
        before = len(self.told)
        if arrived:
            self.accepted.update(outcome.task_id for outcome in self.batch)
            self.server_knows = self.want == 0
            self.buffer.accepted(0.001)
            if not self.holds():
                self.is_told_since(before)
        else:
            self.buffer.not_accepted()
            self.is_reconnected = True
        self.batch = None

    @precondition(lambda self: self.is_reconnected)
    @rule(data=st.data())
    def the_server_has_some_dropped(self, data: st.DataObject) -> None:
        """Right after a reconnection; what runs goes on."""
        held = [pair[0] for pair in self.buffer.held() if pair[0] not in self.running]
        if held:
            gone = data.draw(st.sets(st.sampled_from(held)))
            self.buffer.drop([(task_id, 1) for task_id in gone])
            self.dropped |= gone

    @rule()
    def it_is_drained(self) -> None:
        """The client is to go, or the run is over."""
        before = len(self.told)
        self.draining = True
        self.buffer.drain()
        if not self.holds():
            self.is_told_since(before)

    def is_told_since(self, before: int) -> None:
        """Something has happened after which a buffer that is drained must say so."""
        assert (len(self.told) > before) == (self.draining and not self.running)

    @invariant()
    def each_claim_is_in_one_place(self) -> None:
        """In the buffer once, or accepted once, or dropped."""
        held = Counter(task_id for task_id, _, _ in self.buffer.held())
        everywhere = held + self.accepted + Counter(self.dropped)
        assert everywhere == Counter(range(1, self.came + 1))
        assert set(self.running) <= set(held)

    @invariant()
    def what_began_is_in_the_table(self) -> None:
        """From its start until its outcome is accepted; and nothing that was never started."""
        if not hasattr(self, "buffer"):
            return
        begun, interrupted = self.buffer.begun()
        expected = {task_id for task_id, _, began in self.buffer.held() if began}
        assert Counter(expected) == Counter(task_id for task_id, _ in begun + interrupted)
        assert set(self.running) <= expected

    @invariant()
    def the_end_is_told_when_there_is_nothing_left(self) -> None:
        """The server has all, and will send nothing more: nothing can begin after that."""
        if self.told and self.told[-1]:
            assert self.server_knows
            assert () == self.buffer.held()

    def teardown(self) -> None:
        """Let all of it end, and see that it does."""
        try:
            if hasattr(self, "buffer"):
                self.end()
        finally:
            clock.monotonic = self.real_monotonic

    def end(self) -> None:
        """All that runs ends, and all that is here is accepted."""
        if self.batch is not None:
            self.the_batch_is_answered(arrived=False)
        ended = [Outcome(c.task_id, c.lease, Ending.EXITED) for c in self.running.values()]
        self.running.clear()
        self.draining = True
        self.buffer.put_outcomes(ended)
        self.buffer.drain()
        for _ in range(100):
            if self.told and self.told[-1]:
                break
            self.clock.now += 1.0
            self.a_batch_is_given()
            if self.batch is not None:
                self.the_batch_is_answered(arrived=True)
        assert self.told[-1]
        assert self.accepted + Counter(self.dropped) == Counter(range(1, self.came + 1))


TestWork = Work.TestCase
TestWork.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)


def test_what_is_fetched_ahead_stays_within_bounds():
    """Whatever tasks take: never negative, never more than the most."""
    for seconds in (0.0, 1e-9, 0.001, 1.0, 1e6):
        prefetch = Prefetch(1000)
        prefetch.learn(seconds, 10.0)

        assert 0 <= prefetch.ahead(10.0, 100.0) <= 4000
