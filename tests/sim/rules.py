"""The rules that are looked at as a whole: every few steps, and when the farm is done.

What can be judged in the moment in which it happens is in `books`.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

from hypershell.core.ending import CountsAs, Ending
from hypershell.core.state import TaskState
from hypershell.wire.worker_messages import Phase
from tests.sim.books import Broken

if TYPE_CHECKING:
    from tests.sim.servers import SimServer
    from tests.sim.world import World

IDLE_SECONDS = 5.0
"""How long a client with a free slot and a task that it may have can both wait, at most."""


def check_now(world: "World") -> None:
    """What must be true at every moment of a server that runs."""
    server = world.server
    if server is None or server.server is None:
        return
    _check_places(world, server)
    _check_idle(world, server)


def _check_places(world: "World", server: "SimServer") -> None:
    """Each task is in one state, and what clients hold is handed out."""
    real: Any = server.server
    store, registry = real._store, real._registry
    if store._lock.times or registry._lock.times:
        return
    out = store._handed_out.tasks
    places: set[tuple[int, int]] = set()
    number = 0
    for client in registry._clients.values():
        places.update(client.claims.items())
        number += len(client.claims)
        for task_id, lease in client.claims.items():
            if (task := out.get(task_id)) is not None and task.lease < lease:
                raise Broken("every line is accounted for", f"task {task_id}: a lease from nowhere")
    for bundle in real._scheduled._bundles:
        number += len(bundle)
        places.update((task.id, task.lease) for task in bundle)
    if len(places) != number:
        raise Broken("every line is accounted for", "a task is in two places of the server")
    tally = store._tally
    handed_out = tally.of(TaskState.SENT) + tally.of(TaskState.RUNNING)
    if handed_out != len(out):
        text = f"{handed_out} tasks are out by the counts, {len(out)} in fact"
        raise Broken("every line is accounted for", text)
    if tally.unfinished() < 0 or tally.of(TaskState.WAITING) < 0:
        raise Broken("every line is accounted for", "a count is below 0")


def _check_idle(world: "World", server: "SimServer") -> None:
    """No client waits beside a task that it may have, for long."""
    real: Any = server.server
    scheduled = real._scheduled
    now = world.scheduler.now
    if (
        scheduled.phase is not Phase.RUNNING
        or server.process.is_frozen
        or scheduled._lock.locked()
        or (world.disk is not None and max(world.disk.full_until, world.disk.slow_until) + 5 > now)
    ):
        world.idle_since = None
        return
    hungry = [
        client
        for client in scheduled._parked.values()
        if client.capacity.slots > 0 and scheduled._bundles.has_for(client, now)
    ]
    if not hungry:
        world.idle_since = None
    elif world.idle_since is None:
        world.idle_since = now
    elif now - world.idle_since > IDLE_SECONDS:
        raise Broken(
            "no client idles beside a task",
            f"client {hungry[0].id} has waited {now - world.idle_since:.3f} s",
        )


# The end.


def check_at_end(world: "World") -> None:
    """What must be true when nothing is left that could happen."""
    _check_nothing_runs(world)
    _check_programs(world)
    last = world.servers[-1]
    if world.disk is not None:
        _check_database(world)
    elif last.ended is not None:
        _check_memory(world, last)


def _check_nothing_runs(world: "World") -> None:
    for process in world.running.alive.values():
        client = process.client
        if not process.was_unwatched and not client.was_killed_with_supervisor:
            raise Broken(
                "a client leaves nothing running",
                f"task {process.claim.task_id} of {client.name} lives on",
            )


def _check_programs(world: "World") -> None:
    for client in world.clients:
        if client.failure is not None:
            raise Broken("a program ends as it says", f"{client.name}: {client.failure!r}")
        if client.status is not None and client.status not in (0, 1, 3, 4, 6, 9, *range(128, 160)):
            raise Broken("a program ends as it says", f"{client.name} exits with {client.status}")
    for server in world.servers:
        if server.error is not None and type(server.error).__name__ not in _KNOWN_ENDS:
            raise Broken("a program ends as it says", f"{server.error!r}")
        if server.ended is not None and server.ended.failure is not None:
            name = type(server.ended.failure).__name__
            if name not in _KNOWN_ENDS:
                raise Broken("a program ends as it says", f"{server.ended.failure!r}")


_KNOWN_ENDS = {"DatabaseStalled", "DatabaseUnusable", "NothingToResume"}


def _check_memory(world: "World", server: "SimServer") -> None:
    """A run without a database: what its server says in the end."""
    ended = server.ended
    assert ended is not None
    counts = ended.counts
    books = world.books
    read = world.plan.lines if not ended.unread_from else ended.unread_from - 1
    known = read + len(books.submitted)
    if counts.total < known - 0 or counts.total > known + world.submissions_in_doubt:
        raise Broken(
            "every line is accounted for", f"{counts.total} tasks of {known} that were read"
        )
    final = Counter(books.final.values())
    # Of what somebody wanted tried again, and heard no answer, nobody can tell.
    for state in () if books.retried_by_user else (TaskState.SUCCEEDED, TaskState.FAILED):
        if getattr(counts, state.value) != final[state]:
            raise Broken(
                "every line is accounted for",
                f"{getattr(counts, state.value)} {state.value} by the summary, {final[state]} were",
            )
    stopped = ended.stopped or ended.signal or ended.failure
    if counts.unfinished and not stopped:
        raise Broken("every line is accounted for", f"{counts.unfinished} unfinished at the end")
    failed = Counter(
        r.task.line for r in books.recorded if books.final.get(r.task.id) is TaskState.FAILED
        and r.state is TaskState.FAILED
    )  # fmt: skip
    if not books.retried_by_user:
        _check_failed_file(world, Counter(failed))


def _check_failed_file(world: "World", failed: "Counter[bytes]") -> None:
    written = Counter(bytes(world.failed_file.data).splitlines())
    if written != failed:
        missing, doubled = failed - written, written - failed
        raise Broken(
            "-f has each failed line once",
            f"missing {sorted(missing.elements())[:3]}, too many {sorted(doubled.elements())[:3]}",
        )


def _check_database(world: "World") -> None:
    """A run with a database: what that says in the end."""
    from sqlalchemy import select

    from hypershell.store.sql.maintenance import complaints
    from hypershell.store.sql.schema import ATTEMPTS, STATES, TASKS

    assert world.disk is not None
    database = world.disk.open()
    try:
        for complaint in complaints(database):
            raise Broken("the database is intact", complaint)
        with database.reading() as connection:
            tasks = {
                row.id: (STATES[row.state], bytes(row.line), row.failures, row.losses)
                for row in connection.execute(
                    select(
                        TASKS.c.id, TASKS.c.state, TASKS.c.line, TASKS.c.failures, TASKS.c.losses
                    )
                )
            }
            attempts: dict[int, list[Any]] = {}
            a = ATTEMPTS.c
            for row in connection.execute(select(a.task, a.number, a.ending, a.code)):
                attempts.setdefault(row.task, []).append(row)
    finally:
        database.close()
    _check_lines(world, tasks)
    for task_id, (state, _, failures, losses) in tasks.items():
        if task_id not in world.books.ever_retried:
            _check_counts(world, task_id, state, failures, losses, attempts.get(task_id, []))
    failed = Counter(line for state, line, _, _ in tasks.values() if state is TaskState.FAILED)
    if not world.books.ever_retried:
        _check_failed_file(world, failed)


def _check_lines(world: "World", tasks: dict[int, Any]) -> None:
    books = world.books
    present = Counter(line for _, line, _, _ in tasks.values() if line.startswith(b"line"))
    if present != Counter(world.lines):
        missing = Counter(world.lines) - present
        raise Broken("every line is accounted for", f"missing: {sorted(missing)[:5]}")
    for task_id, line in books.submitted.items():
        if task_id not in tasks or tasks[task_id][1] != line:
            raise Broken("what was acknowledged is not lost", f"submission {task_id} is not there")
    for task_id, (state, *_) in tasks.items():
        if state in (TaskState.WAITING, TaskState.SENT, TaskState.RUNNING, TaskState.INTERRUPTED):
            raise Broken("every line is accounted for", f"task {task_id} is {state.value}")
        known = books.final.get(task_id)
        if known is not None and known is not state and task_id not in books.ever_retried:
            raise Broken(
                "what was recorded stays", f"task {task_id} was {known.value}, is {state.value}"
            )


def _check_counts(
    world: "World",
    task_id: int,
    state: TaskState,
    failures: int,
    losses: int,
    attempts: list[Any],
) -> None:
    """Attempts, failures and losses of a task are what happened."""
    endings = [Ending(row.ending) for row in attempts]
    begun = world.books.begun[task_id]
    for row, ending in zip(attempts, endings, strict=True):
        may_be_none = ending in (Ending.UNREPORTED, Ending.UNSTARTABLE)
        if row.number not in begun and not may_be_none:
            raise Broken(
                "what never began has no attempt",
                f"attempt {row.number} of task {task_id} ({ending.word}) never began",
            )
    lost = sum(ending.counts_as is CountsAs.LOSS for ending in endings)
    if losses != lost:
        raise Broken(
            "retries and losses are counted as they are",
            f"task {task_id}: {losses} losses, and {lost} attempts that were lost",
        )
    failed = sum(
        ending.counts_as is CountsAs.FAILURE and not (ending is Ending.EXITED and not row.code)
        for ending, row in zip(endings, attempts, strict=True)
    )
    if failures != failed and state is not TaskState.SUCCEEDED:
        raise Broken(
            "retries and losses are counted as they are",
            f"task {task_id}: {failures} failures, and {failed} attempts that failed",
        )
