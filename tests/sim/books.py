"""The books of a world: what really ran, and what the server promised; and the rules between them.

Every start and end of a process is entered, every outcome that a server records, every answer by
which a client or a user was told something. A rule that is broken raises `Broken` at once, with the
name of the rule. The rules are those of `docs/promises`; the exceptions named there are `excuses`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypershell.core.ending import CountsAs, Ending
from hypershell.core.outcome import Outcome
from hypershell.core.resources import needs_of
from hypershell.core.state import FINAL, TaskState
from hypershell.core.task import Claim, Task
from hypershell.server.events import OutcomesRecorded, TasksLeased
from hypershell.store.tasks.journal import Recorded
from tests.sim.plan import CORES
from tests.sim.tasks import TaskProcess

if TYPE_CHECKING:
    from tests.sim.servers import SimServer
    from tests.sim.world import World

ORDER_SECONDS = 1.0
"""How long a task that was rescheduled through no fault of its own may wait behind new ones."""


class Broken(BaseException):
    """A rule was broken; product code does not catch it. `rule` is its name in `docs/promises`."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


class Books:
    """What happened in one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.alive: dict[int, list[TaskProcess]] = defaultdict(list)
        self.started: dict[int, list[TaskProcess]] = defaultdict(list)
        self.begun: dict[int, set[int]] = defaultdict(set)
        self.by_pid: dict[int, TaskProcess] = {}
        self.final: dict[int, TaskState] = {}
        self.acknowledged: dict[int, Outcome] = {}
        self.promised_final: dict[int, float] = {}
        self.rescheduled: dict[int, float] = {}
        self.cancelled: set[int] = set()
        self.submitted: dict[int, bytes] = {}
        self.retried_by_user: set[int] = set()
        self.excused: Counter[str] = Counter()
        self.recorded: list[Recorded] = []
        self.losses: Counter[int] = Counter()
        self.ever_retried: set[int] = set()

    # Processes.

    def about_to_start(self, claim: Claim) -> None:
        """A client has noted that it begins a task: from now on nobody can say that it did not."""
        self.begun[claim.task_id].add(claim.attempt)

    def task_started(self, process: TaskProcess) -> None:
        """A shell was started."""
        task_id = process.claim.task_id
        world = self._world
        for other in list(self.alive[task_id]):
            excuse = self._excuse(other)
            if excuse is None:
                raise Broken(
                    "never twice at the same time",
                    f"task {task_id} starts on {process.client.name} (attempt "
                    f"{process.claim.attempt}, lease {process.claim.lease}) while attempt "
                    f"{other.claim.attempt}, lease {other.claim.lease}, runs on "
                    f"{other.client.name}",
                )
            self.excused[excuse] += 1
            self.alive[task_id].remove(other)
        if task_id in self.final and task_id not in self.retried_by_user:
            state = self.final[task_id].value
            raise Broken("what was recorded stays", f"task {task_id} is {state} and starts again")
        if task_id in self.acknowledged and task_id not in self.retried_by_user:
            outcome = self.acknowledged[task_id]
            if outcome.ok:
                raise Broken(
                    "what was acknowledged is not lost",
                    f"task {task_id} succeeded, its client was told so, and it starts again",
                )
        if task_id in self.promised_final and task_id not in self.retried_by_user:
            raise Broken(
                "what was acknowledged is not lost",
                f"somebody who waits was told that task {task_id} was final, and it starts again",
            )
        self.rescheduled.pop(task_id, None)
        self._check_room(process)
        self.alive[task_id].append(process)
        self.started[task_id].append(process)
        self.by_pid[process.pid] = process
        world.note(process.client.name, f"starts task {task_id}, attempt {process.claim.attempt}")

    def _check_room(self, process: TaskProcess) -> None:
        """What a client runs and starts now must fit what it offers."""
        if not self._world.plan.with_needs:
            return
        running = [
            each.claim
            for there in self.alive.values()
            for each in there
            if each.client is process.client and each.is_alive and each.pid == each.leader
        ]
        needs = [needs_of(claim.spec) for claim in (*running, process.claim)]
        asked = [each for each in needs if each is not None]
        cores = sum(each.cores for each in asked) + needs.count(None)
        if asked and cores > CORES:
            raise Broken(
                "no client runs more than it has",
                f"task {process.claim.task_id} starts on {process.client.name}, where {cores} of "
                f"{CORES} cores are in use then",
            )

    def _excuse(self, process: TaskProcess) -> str | None:
        """The documented exception by which this may still run, if it is one."""
        return process.client.excuse_of(process)

    def task_ended(self, process: TaskProcess) -> None:
        """A process of a task ended."""
        task_id = process.claim.task_id
        if process.pid == process.leader:
            self._world.note(
                process.client.name,
                f"task {task_id} ends" + (f" by {process.ended_by}" if process.ended_by else ""),
            )
            if process in self.alive[task_id]:
                self.alive[task_id].remove(process)

    # What a server records.

    def watch(self, server: "SimServer") -> None:
        """See what a server decides, records and hands out."""
        assert server.server is not None
        store, bus = server.server._store, server.server._bus
        decide = store._decide

        def watched(task: Task, outcome: Outcome, client: str, *how: bool) -> Recorded:
            recorded = decide(task, outcome, client, *how)
            self._world.met(
                f"out, {_tried(task)}", f"{outcome.ending.word}: {recorded.state.value}"
            )
            self._check_recorded(recorded)
            return recorded

        store._decide = watched  # type: ignore[method-assign]
        bus.subscribe(lambda event: self._note_recorded(event.recorded), OutcomesRecorded)
        bus.subscribe(lambda event: self._note_leased(server, event), TasksLeased)
        # Whether a client still has one is known after a lease at the latest.
        known_at = self._world.scheduler.now + self._world.plan.lease
        self.rescheduled = dict.fromkeys(self.rescheduled, known_at)

    def _note_recorded(self, recorded: Any) -> None:
        """These are durable."""
        for each in recorded:
            task_id = each.task.id
            self.recorded.append(each)
            if each.state in FINAL:
                self.final[task_id] = each.state
                self.retried_by_user.discard(task_id)
            elif each.state is TaskState.WAITING and _is_innocent(each):
                self.rescheduled[task_id] = self._world.scheduler.now

    def _check_recorded(self, each: Recorded) -> None:
        task, state, outcome, client_id, attempt = each
        match outcome.ending:
            case Ending.EXITED | Ending.SIGNALED:
                process = self.by_pid.get(outcome.pid)
                if process is None or process.claim.task_id != task.id:
                    raise Broken("no outcome that was none", f"task {task.id}: no such process")
                self._check_own(each, process)
            case Ending.LOST:
                if attempt not in self.begun[task.id]:
                    raise Broken(
                        "what never began has no attempt",
                        f"attempt {attempt} of task {task.id} counts as lost, and never began",
                    )
                if not self._world.has_lost(client_id):
                    raise Broken(
                        "retries and losses are counted as they are",
                        f"task {task.id} lost its client {client_id}, which lives",
                    )
                self.losses[task.id] += 1
            case Ending.CANCELLED:
                if task.id not in self.cancelled:
                    raise Broken("only what people cancel is", f"task {task.id} is cancelled")
        if state is TaskState.SUCCEEDED and not outcome.ok:
            raise Broken("no success that was none", f"task {task.id}: {outcome.cause}")
        if state is TaskState.FAILED:
            self._check_failed(each)

    def _check_own(self, each: Recorded, process: TaskProcess) -> None:
        task, _, outcome, _, _ = each
        behaviour = process.behaviour
        assert behaviour is not None
        if process.is_alive:
            raise Broken("no outcome that was none", f"task {task.id} still runs")
        newest = self.started[task.id][-1]
        if newest is not process and newest.claim.lease > process.claim.lease:
            raise Broken(
                "a superseded attempt changes nothing",
                f"the outcome of attempt {process.claim.attempt} (lease {process.claim.lease}) of "
                f"task {task.id} is recorded when lease {newest.claim.lease} has begun",
            )
        by = process.ended_by or behaviour.signal
        really = (Ending.SIGNALED, by) if by else (Ending.EXITED, behaviour.code)
        if (outcome.ending, outcome.code) != really:
            raise Broken("no outcome that was none", f"task {task.id}: {outcome.cause}")
        if outcome.ending is Ending.SIGNALED and process.ended_by and process.ended_with_all:
            raise Broken(
                "a signal to all fails no task",
                f"task {task.id} counts as {outcome.cause}, by which its client was to end",
            )

    def _check_failed(self, each: Recorded) -> None:
        task, _, outcome, _, _ = each
        if outcome.ending.counts_as is CountsAs.LOSS:
            if self.losses[task.id] < self._world.plan.max_lost:
                raise Broken(
                    "no failed line that did not fail",
                    f"task {task.id} FAILED after {self.losses[task.id]} losses",
                )
        elif outcome.ending.counts_as is not CountsAs.FAILURE or outcome.ok:
            raise Broken("no failed line that did not fail", f"task {task.id}: {outcome.cause}")

    def _note_leased(self, server: "SimServer", event: TasksLeased) -> None:
        """Tasks go to a client: none that is new before what was rescheduled long ago."""
        now = self._world.scheduler.now
        for task in event.tasks:
            self.rescheduled.pop(task.id, None)
        new = [t for t in event.tasks if t.lease == 1]
        if not new or self._world.plan.with_needs:
            return  # one that needs less may go before one that does not fit yet
        for task_id, since in list(self.rescheduled.items()):
            if now - since > ORDER_SECONDS and self._may_have(server, event.client_id, task_id):
                raise Broken(
                    "what was rescheduled goes before what is new",
                    f"task {task_id} waits since {since:.3f} s, and task {new[0].id} is handed out",
                )

    def _may_have(self, server: "SimServer", client_id: str, task_id: int) -> bool:
        """Whether this task waits at that server, and nothing keeps the client from it."""
        assert server.server is not None
        store = server.server._store
        task = store._handed_out.tasks.get(task_id)
        if task is None or task.losses or task.failures:
            return task is None and store._waiting.get(task_id) is not None
        scheduled = server.server._scheduled
        return any(t.id == task_id for bundle in scheduled._bundles for t in bundle)

    # What clients and users are told.

    def told_accepted(self, outcomes: list[Outcome]) -> None:
        """A client was told that the server has these."""
        for outcome in outcomes:
            if outcome.ending.tried:
                self.acknowledged[outcome.task_id] = outcome

    def told_final(self, task_ids: Any) -> None:
        """Somebody who waits was told that these are final."""
        for task_id in task_ids:
            self.promised_final[task_id] = self._world.scheduler.now

    def user_retries(self, task_ids: Any) -> Callable[[], None]:
        """Somebody wants these tried again, whatever was said of them.

        What this returns says that the server did not do it.
        """
        books = (self.final, self.acknowledged, self.promised_final)
        wanted = [i for i in task_ids if self.final.get(i) is not TaskState.SUCCEEDED]
        before = [{i: book[i] for i in wanted if i in book} for book in books]
        self.retried_by_user.update(wanted)
        self.ever_retried.update(wanted)
        for book in books:
            for task_id in wanted:
                book.pop(task_id, None)  # type: ignore[attr-defined]

        def take_back() -> None:
            self.retried_by_user.difference_update(wanted)
            for book, entries in zip(books, before, strict=True):
                book.update(entries)  # type: ignore[attr-defined]

        return take_back

    def failed_are_retried(self) -> None:
        """A server is restarted, which tries failed tasks again."""
        self.user_retries([i for i, s in self.final.items() if s is TaskState.FAILED])
        # What was recorded and not heard of is tried again, too.
        self.ever_retried.update(self.started)


def _tried(task: Task) -> str:
    """What happened to a task before."""
    if task.losses:
        return "suspect"
    return "failed before" if task.failures else ("again" if task.lease > 1 else "first time")


def _is_innocent(recorded: Recorded) -> bool:
    """Whether a task waits again through no fault of its own."""
    task, ending = recorded.task, recorded.outcome.ending
    return not task.losses and not task.failures and ending is not Ending.NO_DIRECTORY
