"""Why a task that waits is not running: what keeps it from each client, in words.

Callers hold the lock of the scheduled queue. Time is monotonic, in seconds.
"""

from collections.abc import Iterable

from hypershell.access.errors import shown
from hypershell.core.task import Task
from hypershell.server.state.barriers import Barrier, Barriers
from hypershell.server.state.client import Client


def why_not(task: Task, client: Client, barriers: Barriers, now: float) -> list[str]:
    """What keeps a task from a client now; empty if nothing does."""
    if client.want <= 0:
        return ["takes no more tasks"]
    barrier = barriers.barrier_of(task) or Barrier(None, ())
    reasons = [*_what_keeps(task, client, barrier, barriers, now)]
    if reasons:
        return reasons
    if barrier.needs is not None:
        plain = len(client.claims) - client.usage.number
        reasons = client.usage.missing(barrier.needs, plain)
    elif client.capacity.slots <= 0:
        reasons = ["has no free slot"]
    if not reasons and client.lane is not None and client.lane.aside is client:
        return ["is kept free for a task that has waited longer"]
    return reasons


def _what_keeps(
    task: Task, client: Client, barrier: Barrier, barriers: Barriers, now: float
) -> Iterable[str]:
    if not barriers.can_enter(client.id, barrier.directory, now):
        yield f"cannot enter {shown(barriers.directory_of(task))}"
    if barrier.needs is not None and (lacks := client.usage.offer.lacks(barrier.needs)):
        yield from (f"has {what}" for what in lacks)
    elif barrier.seconds is not None and now + barrier.seconds > client.ends_at:
        left = max(0.0, client.ends_at - now)
        yield f"ends in {left:.0f} s, and the task is expected to take {barrier.seconds:g} s"
    elif barrier.suspect and client.suspects:
        yield "runs another task whose client died"
    elif not barriers.lets(client, barrier, now):
        yield "the task failed there, and another client can take it"
