"""The tasks of one run: this decides in memory, its journal makes that durable.

No change is announced before it is durable, so a process that dies has promised nothing that
its journal does not hold. Of the tasks that wait, a window is in memory: all of them, or the
first, as many as fit.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from hypershell.core.begun import Begun
from hypershell.core.ending import CountsAs, Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy, decide, goes_first
from hypershell.core.state import FINAL, TaskState
from hypershell.core.task import Task, leased, with_counts
from hypershell.runtime import threads
from hypershell.store.tasks.changes import Changes, Final
from hypershell.store.tasks.errors import StoreClosed
from hypershell.store.tasks.given_up import GivenUp, as_before
from hypershell.store.tasks.handed_out import HandedOut, Pair
from hypershell.store.tasks.ids import Ids
from hypershell.store.tasks.journal import Added, Journal, NoJournal, Progress, Recorded
from hypershell.store.tasks.memory import StoreMemory, Unconfirmed
from hypershell.store.tasks.queue import Key
from hypershell.store.tasks.recovery import RecoveredState, Recovery
from hypershell.store.tasks.tally import Counts
from hypershell.store.tasks.window import MAX_TASKS, QueueWindow

_NO_TAGS: Mapping[str, str] = {}
_EVERYTHING = 2**62


class TaskStore:
    """Safe to use from several threads.

    `on_final` is called without the lock, in the thread whose call made tasks final. `owes` says
    that the lines of those that FAILED are to be printed: the journal knows which are not yet.
    What people change (`cancel`, `retry`, `delete`) is done by `Changes`; `recovery` knows of the
    clients of a server that died.
    """

    def __init__(
        self,
        policy: Policy,
        journal: Journal | None = None,
        start: RecoveredState | None = None,
        most_tasks: int = MAX_TASKS,
        owes: bool = False,
        on_final: Final = lambda final: None,
    ) -> None:
        start = start or RecoveredState()
        self._policy = policy
        self._journal: Journal = journal or NoJournal()
        self._lock = threads.lock("task store")
        self._ids = Ids(start.last_id)
        self.new_id = self._ids.new
        self._tally = start.tally
        self._given_up = GivenUp(start.given_up)
        self._handed_out = HandedOut(start.handed_out, start.running, start.cancelling)
        self._waiting = QueueWindow(self._journal, self._lock, not start.waiting, most_tasks)
        self._memory = StoreMemory(
            self._lock, self._journal, self._tally, self._handed_out, self._waiting
        )
        self.recovery = Recovery(self._lock, self._handed_out, start.clients)
        self._changes = Changes(self._memory, on_final)
        self.cancel, self.retry = self._changes.cancel, self._changes.retry
        self.delete = self._changes.delete
        self._retried = 0
        self._input_open = False
        self._owes = owes
        self._on_final = on_final

    def input_is_open(self, is_open: bool) -> None:
        """Whether lines may still come of which some belong to an earlier group than others."""
        with self._lock:  # a lease that is being decided is decided by what was true before
            self._input_open = is_open

    def add(
        self,
        tasks: Iterable[Task],
        tags: Mapping[str, str] = _NO_TAGS,
        progress: Progress | None = None,
        made_in: bytes = b"",
    ) -> None:
        """Add new tasks, in order; each is WAITING. StoreClosed after the end of the run.

        All of them have these `tags` beside those that their lines set, and were submitted in the
        directory `made_in`, unless they are lines of the run's own input.
        """
        added = list(tasks)
        with self._lock:
            if self._memory.closed:
                raise StoreClosed("the run is over")
            self._ids.note(task.id for task in added)
            for group, number in Counter(task.group for task in added).items():
                self._tally.add(group, TaskState.WAITING, number)
            for task in added:
                self._waiting.take_in(task)
            self._memory.revisions += 1
            commit = self._journal.added(Added(added, tags, made_in), progress)
        commit.wait()

    def lease(self, limit: int, most_bytes: int = _EVERYTHING) -> list[Task]:
        """Return up to `limit` waiting tasks under a new lease; each is now SENT.

        Once their lines have `most_bytes` there are no more of them. None of a group goes before
        all of the groups before it have succeeded, or while lines of those may still be read.
        """
        self._waiting.fill(self._memory)
        return self._lease(limit, most_bytes, None)

    def lease_urgent(self) -> list[Task]:
        """The same for tasks that go before all others, as long as these come first."""
        found: list[Task] = []
        while True:
            with self._lock:
                first = self._waiting.first()
            if first is None or first[2] != 0:
                return found
            tasks = self._lease(_EVERYTHING, _EVERYTHING, (*first[:3], _EVERYTHING))
            if not tasks:
                return found
            found += tasks

    def _lease(self, limit: int, most_bytes: int, last: Key | None) -> list[Task]:
        with self._lock:
            open_end = (self._open_group(), _EVERYTHING, 0, 0)
            last = open_end if last is None else min(last, open_end)
            tasks = [leased(task) for task in self._waiting.pop(limit, most_bytes, last)]
            self._handed_out.put(tasks)
            for group, number in Counter(task.group for task in tasks).items():
                self._tally.move(group, TaskState.WAITING, TaskState.SENT, number)
            if not tasks:
                return tasks
            commit = self._journal.leased(tasks)
        commit.wait()
        return tasks

    def record(
        self,
        given: Iterable[tuple[str, Sequence[Outcome]]],
        stopping: bool = False,
        on_trial: Collection[str] = (),
    ) -> list[Recorded]:
        """Store outcomes, each with the client that gave it, and return those that were new.

        An outcome for an older lease is dropped: a client given up for dead may still answer. A
        task that would have FAILED on a client `on_trial` waits, unconfirmed, until `judge`.
        """
        recorded: list[Recorded] = []
        ran: list[Recorded] = []
        with self._lock:
            handed_out = self._handed_out
            for client, outcomes in given:
                for outcome in outcomes:
                    task = handed_out.tasks.get(outcome.task_id)
                    if task is None or task.lease != outcome.lease:
                        continue
                    before = handed_out.take_out(task.id)
                    recorded.append(
                        self._decide(task, outcome, client, stopping, client in on_trial)
                    )
                    if before is TaskState.RUNNING:
                        ran.append(recorded[-1])
                    self._changes.note_moved(task.id, recorded[-1].state)
            if not recorded:
                return recorded
            moves = Counter((r.task.group, r.state) for r in recorded)
            for each in ran:  # few: short tasks go from SENT to their end
                self._tally.move(each.task.group, TaskState.RUNNING, each.state)
                moves[each.task.group, each.state] -= 1
            for (group, state), number in moves.items():
                self._tally.move(group, TaskState.SENT, state, number)
            commit = self._journal.recorded(recorded, self._owes, [r.task.id for r in ran])
        commit.wait()
        self._on_final([(r.task.id, r.state) for r in recorded if r.state in FINAL])
        return recorded

    def _decide(
        self, task: Task, outcome: Outcome, client: str, stopping: bool, is_on_trial: bool = False
    ) -> Recorded:
        """Put a task that was out where it belongs now; a final one is no longer in memory."""
        self.recovery.discard(task.id)
        after, state = decide(task, outcome, self._policy, stopping)
        self._given_up.note(task, outcome.ending, waits=state is TaskState.WAITING)
        if state is TaskState.SUCCEEDED and not self._handed_out.cancelling:
            return Recorded(after, state, outcome, client, task.attempt)
        if self._handed_out.forget_cancel(task.id):
            state = state if state is TaskState.SUCCEEDED else TaskState.CANCELLED
        is_failure = outcome.ending.counts_as is CountsAs.FAILURE
        if is_on_trial and is_failure and state is TaskState.FAILED:
            self._memory.unconfirmed[task.id] = Unconfirmed(task, outcome, client)
            counts = after.lease, task.attempt + 1, after.failures, after.losses
            after = with_counts(after, *counts)._replace(sequence=0)
            return Recorded(after, TaskState.WAITING, outcome, client, task.attempt)
        if state is TaskState.WAITING:
            self._retried += outcome.ending.granted
            first = goes_first(after, outcome, self._policy)
            after = after._replace(sequence=0 if first else 2 * self._ids.last + 1)
            self._waiting.take_in(after)
        elif state is TaskState.INTERRUPTED:
            self._memory.interrupted[task.id] = after
        return Recorded(after, state, outcome, client, task.attempt)

    def unconfirmed(self) -> dict[str, int]:
        """How many failures are not confirmed, by the ids of their clients."""
        if not self._memory.unconfirmed:
            return {}
        with self._lock:
            return dict(Counter(each.client for each in self._memory.unconfirmed.values()))

    def unconfirmed_of(self, task_ids: Iterable[int]) -> list[tuple[str, int]]:
        """Those of these tasks whose failure is not confirmed, each after its client."""
        with self._lock:
            found = self._memory.unconfirmed
            return [(found[i].client, i) for i in task_ids if i in found]

    def judge(self, client: str, *, failed: bool) -> list[Recorded]:
        """The unconfirmed tasks of a client have FAILED, or wait as though it never had them."""
        judged: list[Recorded] = []
        with self._lock:
            mine = [each for each in self._memory.unconfirmed.values() if each.client == client]
            for task, outcome, _ in mine:
                del self._memory.unconfirmed[task.id]
                self._tally.move(task.group, TaskState.WAITING, TaskState.SENT)
                if failed:
                    after = with_counts(
                        task, task.lease, task.attempt, task.failures + 1, task.losses
                    )
                    judged.append(Recorded(after, TaskState.FAILED, outcome, client, task.attempt))
                else:
                    again = task._replace(sequence=0)
                    self._waiting.take_in(again)
                    given_back = Outcome(task.id, task.lease, Ending.GIVEN_BACK)
                    back = Recorded(again, TaskState.WAITING, given_back, client, task.attempt)
                    judged.append(back)
                self._tally.move(task.group, TaskState.SENT, judged[-1].state)
                self._changes.note_moved(task.id, judged[-1].state)
            if not judged:
                return []
            self._memory.revisions += 1
            commit = self._journal.recorded(judged, self._owes, (), late=True)
        commit.wait()
        if failed:
            self._on_final([(each.task.id, TaskState.FAILED) for each in judged])
        return judged

    def begin(self, client: str, begun: Sequence[Begun]) -> None:
        """These tasks began on a client: those that are out under this lease are RUNNING.

        It does not wait for the journal: who asks for tasks may not see it for a moment.
        """
        with self._lock:
            new = self._handed_out.begin(begun)
            for each in new:
                group = self._handed_out.tasks[each.task_id].group
                self._tally.move(group, TaskState.SENT, TaskState.RUNNING)
            if new:
                self._journal.begun(client, new)

    # Outcomes of attempts that were given up.

    def late_ones(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Those of these outcomes whose attempt was given up, and is the last of its task.

        All tasks that may go out next are in memory afterwards. Only the thread that leases calls
        this.
        """
        self._waiting.fill(self._memory)
        with self._lock:
            return [o for o in outcomes if self._given_up.ending_of(o) is not None]

    def record_late(
        self, client: str, outcomes: Sequence[Outcome], withdrawn: Collection[int], stopping: bool
    ) -> list[Recorded]:
        """Store outcomes of attempts that were given up, where the task was not handed out again.

        It leaves the queue in the same commit. `withdrawn` are the ids of those that were leased
        and that no client has taken; they are in no queue of the server any more.
        """
        recorded: list[Recorded] = []
        with self._lock:
            for outcome in outcomes:
                task = self._reclaim(outcome, withdrawn)
                if task is not None:
                    recorded.append(self._decide(task, outcome, client, stopping))
                    self._changes.note_moved(task.id, recorded[-1].state)
            if not recorded:
                return recorded
            for each in recorded:
                self._tally.move(each.task.group, TaskState.SENT, each.state)
            commit = self._journal.recorded(recorded, self._owes, (), late=True)
        commit.wait()
        self._on_final([(r.task.id, r.state) for r in recorded if r.state in FINAL])
        return recorded

    def _reclaim(self, outcome: Outcome, withdrawn: Collection[int]) -> Task | None:
        """Take a task out of what waits, as it was when this attempt at it was given up."""
        ending = self._given_up.ending_of(outcome)
        if ending is None:
            return None
        task = self._waiting.remove(outcome.task_id)
        if task is not None:
            self._tally.move(task.group, TaskState.WAITING, TaskState.SENT)
        elif outcome.task_id in withdrawn and outcome.task_id in self._handed_out.tasks:
            task = self._handed_out.tasks[outcome.task_id]
            self._handed_out.take_out(task.id)
        if task is None:
            return None  # a client has it, or it was cancelled
        self._given_up.forget(task.id)
        self._retried -= ending.granted and self._given_up.by_this_run(outcome)
        return as_before(task, ending)

    def take_back(self, tasks: Iterable[Task]) -> None:
        """Leased tasks that no client has taken are WAITING again, before all others.

        Those that are to be cancelled are CANCELLED.
        """
        again: list[Task] = []
        cancelled: list[Task] = []
        with self._lock:
            for task in tasks:
                if task.id not in self._handed_out.tasks:
                    continue
                before = self._handed_out.take_out(task.id)
                stays = not self._handed_out.forget_cancel(task.id)
                state = TaskState.WAITING if stays else TaskState.CANCELLED
                self._changes.note_moved(task.id, state)
                self._tally.move(task.group, before, state)
                (again if stays else cancelled).append(task._replace(sequence=0))
            for task in again:
                self._waiting.take_in(task)
            commits = [self._journal.took_back(again)] if again else []
            if cancelled:
                commits.append(self._journal.cancelled([task.id for task in cancelled]))
        for commit in commits:
            commit.wait()
        if cancelled:
            self._on_final([(task.id, TaskState.CANCELLED) for task in cancelled])

    # What is with clients.

    def handed_out(self, task_ids: Iterable[int]) -> list[Task]:
        """Those of these tasks that clients hold."""
        with self._lock:
            tasks = self._handed_out.tasks
            return [tasks[task_id] for task_id in task_ids if task_id in tasks]

    def look_up(self, task_ids: Iterable[int]) -> tuple[list[Task], list[Task]]:
        """Those of these tasks that wait and are in memory, and those that are handed out."""
        with self._lock:
            waiting = [self._waiting.get(task_id) for task_id in task_ids]
            out = self._handed_out.tasks
            held = [out[task_id] for task_id in task_ids if task_id in out]
            return [task for task in waiting if task is not None], held

    def to_cancel(self) -> list[Pair]:
        """Tasks (id and lease) that clients hold and that are to be cancelled."""
        with self._lock:
            return self._handed_out.to_cancel()

    # How far it is.

    def counts(self) -> Counts:
        """Tasks by state at this moment."""
        with self._lock:
            by_name = {state.value: self._tally.of(state) for state in TaskState}
            return Counts(**by_name, retried=self._retried, blocked=self._tally.blocked())

    def unfinished(self) -> int:
        """How many tasks are not final, but for those that wait for a group that failed."""
        with self._lock:
            return self._tally.unfinished() - self._tally.blocked()

    def idle_revision(self) -> int | None:
        """A number that stays the same while nothing can become final; None if something can.

        Memory is a commit ahead of the journal: what an idle run says of its tasks is durable only
        after `wait_until_durable`.
        """
        with self._lock:
            is_idle = self._tally.unfinished() == self._tally.blocked()
            return self._memory.revisions if is_idle else None

    def wait_until_durable(self) -> None:
        """Return when every change so far is durable; StartError if it never will be."""
        self._journal.flush().wait()

    def unfinished_among(self, task_ids: Iterable[int]) -> list[int]:
        """Those of these tasks that are not final, as far as memory goes."""
        with self._lock:
            return [i for i in task_ids if self._memory.known(i)[0] not in FINAL]

    def close_if_finished(self) -> bool:
        """End the run if nothing more can be done: nothing can be added then. Whether it ended."""
        with self._lock:
            self._memory.closed = self._tally.unfinished() == self._tally.blocked()
            return self._memory.closed

    def backlog(self) -> tuple[int, int]:
        """How many tasks wait that may go, and the bytes of lines in memory; none if none may go.

        The reader of lines is held back by this, and groups may wait for the last of these.
        """
        with self._lock:
            waiting = self._tally.waiting_in(self._open_group())
            return waiting, self._waiting.size if waiting else 0

    def unfinished_numbers(self, limit: int = 100_000) -> list[int]:
        """The line numbers of tasks from the input that are not final, in order; the first ones."""
        if self._journal.keeps:
            return self._journal.unfinished_numbers(limit)
        with self._lock:
            numbers = self._memory.unfinished_numbers()
        return sorted(number for number in numbers if number)[:limit]

    def printed(self, task_ids: Sequence[int], path: bytes, length: int) -> Callable[[], None]:
        """Record that the lines of these failed tasks are printed; the commit to wait for.

        `path` is the file they went to, which has this many bytes now; b"" if it is not a file.
        """
        return self._journal.printed(task_ids, path, length).wait

    def _open_group(self) -> int:
        """The last group that may run now; without groups, any."""
        group = self._tally.open_group()
        return min(group, 0) if self._input_open else group
