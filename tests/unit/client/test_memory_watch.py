"""How much memory tasks use: their peaks, those that use too much, and those killed for it."""

import pytest

from hypershell.client.tasks.memory_watch import LOOK_SECONDS, MemoryWatch, why_ended
from hypershell.client.tasks.spawn import Child
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec

MIB = 1024


class Sizes:
    """Processes whose sizes, in KiB, the test sets: as seen at a glance, and exactly."""

    def __init__(self) -> None:
        self.rough: dict[int, int] = {}
        self.exact: dict[int, int] = {}
        self.killed: int | None = 0

    def memory_kib(self, child: Child, *, exact: bool = False) -> int:
        """See Processes."""
        return (self.exact if exact else self.rough).get(child.pid, 0)

    def oom_kills(self) -> int | None:
        """See Processes."""
        return self.killed


def child(pid: int, mib: int = 0) -> Child:
    """A task that asked for so much memory, or for none."""
    spec = TaskSpec(memory_request=mib * 2**20).pack_for_client() if mib else ""
    return Child(Claim(pid, 1, 1, b"true", spec), pid, 1, 0.0, 0.0)


def test_a_task_that_uses_more_than_it_asked_for_is_found():
    """By an exact look, once a rough one says so; pages that are shared are no reason."""
    sizes = Sizes()
    watch = MemoryWatch(sizes)
    small, shares, large, free = child(1, 100), child(2, 100), child(3, 100), child(4)
    sizes.rough = {1: 50 * MIB, 2: 200 * MIB, 3: 200 * MIB, 4: 999 * MIB}
    sizes.exact = {2: 90 * MIB, 3: 150 * MIB}

    found = watch.look([small, shares, large, free], 10.0)

    assert [large] == found
    assert [50, 90, 150, 999] == [each.peak_kib // MIB for each in (small, shares, large, free)]
    assert 10.0 + LOOK_SECONDS == watch.look_at
    assert "it used 150 MiB; it asked for 100 MiB" == why_ended(large)


def test_a_peak_stays():
    """Also when the task uses less again."""
    sizes = Sizes()
    watch, task = MemoryWatch(sizes), child(1)

    for now, size in ((0.1, 50), (1.0, 10), (2.0, 30), (3.0, 20)):
        sizes.rough = {1: size}
        watch.look([task], now)

    assert 30 == task.peak_kib  # when it had just begun it was not its own yet


@pytest.mark.parametrize(
    ("ending", "code", "kills", "is_told"),
    [
        (Ending.SIGNALED, 9, 1, True),
        (Ending.EXITED, 137, 1, True),
        (Ending.SIGNALED, 9, 0, False),  # somebody sent it
        (Ending.SIGNALED, 15, 1, False),
        (Ending.EXITED, 9, 1, False),
        (Ending.SIGNALED, 9, None, False),  # nobody counts
    ],
)
def test_a_kill_by_the_kernel_is_told_from_another(ending, code, kills, is_told):
    """It counts those that it makes for want of memory."""
    sizes = Sizes()
    watch = MemoryWatch(sizes)
    sizes.killed = kills

    told = watch.was_killed_for_memory(Outcome(1, 1, ending, code))

    assert is_told == told
    if is_told:  # each of them is told of once
        assert not watch.was_killed_for_memory(Outcome(2, 1, Ending.SIGNALED, 9))
