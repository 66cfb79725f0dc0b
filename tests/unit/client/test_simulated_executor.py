"""The executor without a process, a descriptor or a clock: what it decides can be simulated."""

import errno
from collections import deque
from collections.abc import Iterable

import pytest

from hypershell.client.task_buffer import TaskBuffer
from hypershell.client.tasks.executor import Executor
from hypershell.client.tasks.grants import Grant
from hypershell.client.tasks.orders import Orders
from hypershell.client.tasks.spawn import Child
from hypershell.core.ending import Ending
from hypershell.core.errors import TasksUnstartable
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime import clock


class World:
    """Processes, a watch and an output, as they would be if the test says so."""

    needs_sigchld = False
    streams = ()

    def __init__(self) -> None:
        self.now = 1000.0
        self.log: list[tuple[str, int]] = []
        self.refusal: OSError | None = None
        self.leaders_heed_term = False
        self.ended: deque[Child] = deque()
        self.alive: set[int] = set()
        self.strays = 0
        self.sizes: dict[int, int] = {}
        self.is_woken = False

    # Processes.

    def spawn(
        self, claim: Claim, slot: int, out: int, err: int, grant: Grant | None = None
    ) -> Child:
        """A process whose number is its task's."""
        if self.refusal is not None:
            raise self.refusal
        self.log.append(("spawn", claim.task_id))
        self.alive.add(claim.task_id)
        return Child(claim, claim.task_id, slot, self.now, self.now)

    def reap(self, child: Child) -> Outcome:
        """It ended well."""
        self.log.append(("reap", child.pid))
        return Outcome(child.claim.task_id, child.claim.lease, Ending.EXITED, slot=child.slot)

    def terminate(self, children: Iterable[Child]) -> None:
        """Its leader may heed it; others of its session never do."""
        for child in children:
            self.log.append(("terminate", child.pid))
            if self.leaders_heed_term:
                self.ended.append(child)

    def kill(self, children: Iterable[Child]) -> None:
        """All of it is gone, if it was not yet."""
        for child in children:
            if child.pid in self.alive:
                self.log.append(("kill", child.pid))
                self.alive.discard(child.pid)
                self.ended.append(child)

    def pause(self, children: Iterable[Child]) -> None:
        """They stand still."""
        self.log.append(("pause", len(list(children))))

    def go_on(self, children: Iterable[Child]) -> None:
        """They run on."""
        self.log.append(("go on", len(list(children))))

    def live_sessions(self) -> set[int]:
        """As the test says."""
        return self.alive

    def kill_strays(self, task_ids=None) -> int:
        """As the test says."""
        return self.strays

    def outlived(self, child: Child) -> bool:
        """Nothing ends by a signal here."""
        return False

    def memory_kib(self, child: Child, *, exact: bool = False) -> int:
        """As the test says."""
        return self.sizes.get(child.pid, 0)

    def oom_kills(self) -> int | None:
        """Nobody knows."""
        return None

    # A watch: to wait is to let time pass.

    def add(self, child: Child) -> None:
        """It is known."""

    def remove(self, child: Child) -> None:
        """It is not looked at again."""
        self.ended.remove(child)

    def wait(self, timeout: float | None) -> tuple[list[Child], list[int]]:
        """What has ended, or nothing until the timeout."""
        ended = list(self.ended)
        if not ended and timeout and not self.is_woken:
            self.now += timeout
        self.is_woken = False
        return ended, []

    def wake(self) -> None:
        """Somebody gave an order: the next wait is short."""
        self.is_woken = True

    # An output.

    is_failing = False

    def has_failed(self) -> bool:
        """There is always room."""
        return False

    def ends(self, slot: int) -> tuple[int, int]:
        """No descriptors."""
        return -1, -1

    def finish(self, slot: int) -> tuple[bytes, bytes]:
        """Nothing was printed."""
        return b"", b""


@pytest.fixture
def world(monkeypatch) -> World:
    """The world of one executor, whose clock the whole client reads."""
    world = World()
    monkeypatch.setattr(clock, "monotonic", lambda: world.now)
    monkeypatch.setattr(clock, "wall", lambda: world.now)
    monkeypatch.setattr(clock, "sleep", lambda seconds: setattr(world, "now", world.now + seconds))
    return world


@pytest.fixture
def make(world):
    """An executor of two slots with these claims before it, and what it is told by."""

    def make(*task_ids: int) -> tuple[Executor, Orders, TaskBuffer]:
        orders, buffer = Orders(world.wake), TaskBuffer(2, world.wake, lambda all_accepted: None)
        executor = Executor(2, buffer, orders, world, world, world, grace_seconds=5.0)
        buffer.put_claims([Claim(task_id, 1, 1, b"true") for task_id in task_ids])
        return executor, orders, buffer

    return make


def test_slots_are_filled_and_what_ended_is_reaped(make, world):
    """In the order of the claims."""
    executor, _, _ = make(1, 2, 3)
    executor.one_pass()
    world.ended.append(executor.running()[0])

    executor.one_pass()
    executor.one_pass()

    assert [("spawn", 1), ("spawn", 2), ("reap", 1), ("spawn", 3)] == world.log


def test_a_task_that_ignores_term_is_killed_after_exactly_its_grace(make, world):
    """In simulated time, and its leader is not reaped before."""
    executor, orders, buffer = make(1)
    executor.one_pass()
    begin = world.now

    orders.stop(5.0)
    for _ in range(100):
        if not executor.running():
            break
        executor.one_pass()

    assert [("spawn", 1), ("terminate", 1), ("kill", 1), ("reap", 1)] == world.log
    assert 5.0 == pytest.approx(world.now - begin, abs=0.01)
    (outcome,), *_ = buffer.next_batch(0)
    assert Ending.INTERRUPTED is outcome.ending


def test_a_leader_is_not_reaped_while_its_session_lives(make, world):
    """Its number must not become another's."""
    executor, orders, _ = make(1)
    executor.one_pass()
    world.leaders_heed_term = True
    orders.cancel([(1, 1)])

    for _ in range(3):
        executor.one_pass()
    before = list(world.log)
    world.alive.clear()
    executor.one_pass()

    assert [("spawn", 1), ("terminate", 1)] == before
    assert [*before, ("reap", 1)] == world.log


def test_orders_are_obeyed_in_the_order_in_which_they_came(make, world):
    """A resume after a stop runs tasks again once all is gone; a stop after it does not."""
    executor, orders, _ = make(1)
    executor.one_pass()
    orders.stop(5.0)
    orders.resume()
    orders.stop(0.0)
    assert orders.stopping()
    for _ in range(3):
        executor.one_pass()
    assert not executor.running()
    assert orders.stopping()

    orders.resume()
    executor.one_pass()

    assert not orders.stopping()


def test_nothing_waits_for_a_slow_reader_once_a_stop_was_taken(make, world):
    """What ended by itself is collected while the stop is obeyed, and may have printed much."""
    executor, orders, _ = make(1)
    executor.one_pass()
    world.ended.append(executor.running()[0])
    asked: list[bool] = []
    world.finish = lambda slot: asked.append(orders.stopping()) or (b"", b"")

    orders.stop(5.0)
    executor.one_pass()

    assert [True] == asked


def test_a_machine_that_stays_short_ends_the_client(make, world):
    """After the grace, where nothing runs whose end would make room."""
    executor, _, _ = make(1)
    world.refusal = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    begin = world.now

    with pytest.raises(TasksUnstartable):
        all(executor.one_pass() for _ in range(1000))

    assert 5.0 <= world.now - begin < 5.2


def test_a_stray_that_cannot_be_killed_delays_a_cancelled_task_for_half_a_second(make, world):
    """And no longer: its slot is needed."""
    executor, orders, _ = make(1)
    executor.one_pass()
    world.strays = 1
    begin = world.now

    orders.cancel([(1, 1)])
    for _ in range(100):
        if not executor.running():
            break
        executor.one_pass()

    assert 5.5 == pytest.approx(world.now - begin, abs=0.1)


def paused(executor, orders) -> None:
    """All stands still from now on."""
    orders.pause()
    executor.one_pass()


def test_no_time_passes_for_a_task_that_stands_still(make, world):
    """Neither of its time limit nor of its grace, nor of its duration."""
    executor, orders, buffer = make()
    buffer.put_claims([Claim(1, 1, 1, b"true", packed_spec=TaskSpec(timeout=10.0).pack())])
    world.wake()
    executor.one_pass()
    begin = world.now
    (child,) = executor.running()

    for due in (10.0, 15.0):
        world.now = begin + due - 1.0
        paused(executor, orders)
        begin += 60.0
        world.now += 60.0
        executor.one_pass()
        orders.go_on()
        before = list(world.log)
        while world.log == before or world.log[-1] == ("go on", 1):
            executor.one_pass()
        assert due == pytest.approx(world.now - begin, abs=0.1)

    assert ["spawn", "pause", "go on", "terminate", "pause", "go on", "kill"] == [
        what for what, _ in world.log
    ]
    assert 1120.0 == child.started


def test_no_task_is_started_while_all_stand_still(make, world):
    """Those that came meanwhile are started afterwards."""
    executor, orders, buffer = make()
    paused(executor, orders)
    buffer.put_claims([Claim(1, 1, 1, b"true")])

    executor.one_pass()
    during = list(world.log)
    orders.go_on()
    executor.one_pass()

    assert [("pause", 0)] == during
    assert [("pause", 0), ("go on", 0), ("spawn", 1)] == world.log


def test_a_task_that_must_end_while_it_stands_still_is_killed(make, world):
    """It does not run again, not even to see that it is to end; a cancelled one is cancelled."""
    executor, orders, buffer = make(1, 2)
    executor.one_pass()
    paused(executor, orders)
    orders.cancel([(1, 1)])
    executor.one_pass()
    before = list(world.log)

    orders.stop(5.0)
    while executor.running():
        executor.one_pass()

    assert ("pause", 2) == before[-1]
    ends = [what for what, _ in world.log[len(before) :]]
    assert "terminate" not in ends
    assert ends.index("kill") < ends.index("go on")
    outcomes = buffer.next_batch(0).outcomes
    assert [Ending.CANCELLED, Ending.INTERRUPTED] == [o.ending for o in sorted(outcomes)]


def test_a_task_that_is_cancelled_while_it_stands_still_ends_afterwards(make, world):
    """It has its grace then."""
    executor, orders, _ = make(1)
    executor.one_pass()
    paused(executor, orders)

    orders.cancel([(1, 1)])
    executor.one_pass()
    orders.go_on()
    executor.one_pass()

    assert [("pause", 1), ("go on", 1), ("terminate", 1)] == world.log[1:]


def test_tasks_stand_still_though_a_slow_reader_of_output_is_waited_for(make, world):
    """It may be what was stopped first."""
    executor, orders, _ = make(1)
    executor.one_pass()
    done = orders.pause()

    orders.stopping()  # as the output asks, now and then

    assert done.is_set()
    assert ("pause", 1) == world.log[-1]
