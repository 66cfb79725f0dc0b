"""The tasks of one run: this decides in memory, its journal makes that durable.

No change is announced before it is durable, so a process that dies has promised nothing that
its journal does not hold. Of the tasks that wait, a window is in memory: all of them, or the
first, as many as fit.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Changed, Selection
from hypershell.core.retry import Policy, decide
from hypershell.core.state import CANCEL, DELETE, FINAL, RETRY, ChangeRule, TaskState
from hypershell.core.task import Task, leased
from hypershell.runtime import threads
from hypershell.store.tasks.errors import NoDatabase, StoreClosed
from hypershell.store.tasks.given_up import GivenUp, as_before
from hypershell.store.tasks.ids import Ids
from hypershell.store.tasks.journal import (
    Added,
    Found,
    Journal,
    NoJournal,
    Progress,
    Recorded,
)
from hypershell.store.tasks.queue import Key
from hypershell.store.tasks.recovery import Pair, RecoveredState, Recovery
from hypershell.store.tasks.tally import Counts
from hypershell.store.tasks.window import MAX_TASKS, QueueWindow

_NO_TAGS: Mapping[str, str] = {}
_EVERYTHING = 2**62

Final = Callable[[Sequence[tuple[int, TaskState]]], None]
"""Takes the ids and states of tasks that became final, once that is durable."""


class TaskStore:
    """Safe to use from several threads.

    `on_final` is called without the lock, in the thread whose call made tasks final. `owes` says
    that the lines of those that FAILED are to be printed: the journal knows which are not yet.
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
        self._sent = {task.id: task for task in start.sent}
        self._recovery = Recovery(self._sent, start.clients, self._is_out)
        self._given_up = GivenUp(start.given_up)
        self._cancelling = start.cancelling
        self._interrupted: dict[int, Task] = {}
        self._retried = 0
        self._closed = False
        self._revisions = 0  # changes that may give an idle run something to do
        self._input_open = False
        self._waiting = QueueWindow(self._journal, self._lock, not start.waiting, most_tasks)
        self._changing = threads.lock("changes")
        self._moved: dict[int, TaskState] | None = None  # while somebody looks for tasks to change
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
            if self._closed:
                raise StoreClosed("the run is over")
            self._ids.note(task.id for task in added)
            for group, number in Counter(task.group for task in added).items():
                self._tally.add(group, TaskState.WAITING, number)
            for task in added:
                self._waiting.take_in(task)
            self._revisions += 1
            commit = self._journal.added(Added(added, tags, made_in), progress)
        commit.wait()

    def lease(self, limit: int, most_bytes: int = _EVERYTHING) -> list[Task]:
        """Return up to `limit` waiting tasks under a new lease; each is now SENT.

        Once their lines have `most_bytes` there are no more of them. None of a group goes before
        all of the groups before it have succeeded, or while lines of those may still be read.
        """
        self._waiting.fill(self._sent)
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
            for task in tasks:
                self._sent[task.id] = task
            for group, number in Counter(task.group for task in tasks).items():
                self._tally.move(group, TaskState.WAITING, TaskState.SENT, number)
            if not tasks:
                return tasks
            commit = self._journal.leased(tasks)
        commit.wait()
        return tasks

    def record(
        self, given: Iterable[tuple[str, Sequence[Outcome]]], stopping: bool = False
    ) -> list[Recorded]:
        """Store outcomes, each with the client that gave it, and return those that were new.

        An outcome for an older lease is dropped: a client given up for dead may still answer.
        """
        recorded: list[Recorded] = []
        with self._lock:
            for client, outcomes in given:
                for outcome in outcomes:
                    task = self._sent.get(outcome.task_id)
                    if task is None or task.lease != outcome.lease:
                        continue
                    del self._sent[task.id]
                    recorded.append(self._decide(task, outcome, client, stopping))
                    self._note_moved(task.id, recorded[-1].state)
            if not recorded:
                return recorded
            moves = Counter((r.task.group, r.state) for r in recorded)
            for (group, state), number in moves.items():
                self._tally.move(group, TaskState.SENT, state, number)
            commit = self._journal.recorded(recorded, self._owes)
        commit.wait()
        self._on_final([(r.task.id, r.state) for r in recorded if r.state in FINAL])
        return recorded

    def _decide(self, task: Task, outcome: Outcome, client: str, stopping: bool) -> Recorded:
        """Put a task that was SENT where it belongs now; a final one is no longer in memory."""
        self._recovery.discard(task.id)
        after, state = decide(task, outcome, self._policy, stopping)
        self._given_up.note(task, outcome.ending, waits=state is TaskState.WAITING)
        if state is TaskState.SUCCEEDED and not self._cancelling:
            return Recorded(after, state, outcome, client, task.attempt)
        if task.id in self._cancelling:
            self._cancelling.discard(task.id)
            state = state if state is TaskState.SUCCEEDED else TaskState.CANCELLED
        if state is TaskState.WAITING:
            self._retried += outcome.ending.granted
            first = self._policy.eager or not outcome.ending.tried
            after = after._replace(sequence=0 if first else 2 * self._ids.last + 1)
            self._waiting.take_in(after)
        elif state is TaskState.INTERRUPTED:
            self._interrupted[task.id] = after
        return Recorded(after, state, outcome, client, task.attempt)

    # Outcomes of attempts that were given up.

    def late_ones(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Those of these outcomes whose attempt was given up, and is the last of its task.

        All tasks that may go out next are in memory afterwards. Only the thread that leases calls
        this.
        """
        self._waiting.fill(self._sent)
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
                    self._note_moved(task.id, recorded[-1].state)
            if not recorded:
                return recorded
            for each in recorded:
                self._tally.move(each.task.group, TaskState.SENT, each.state)
            commit = self._journal.recorded(recorded, self._owes, late=True)
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
        elif outcome.task_id in withdrawn:
            task = self._sent.pop(outcome.task_id, None)
        if task is None:
            return None  # a client has it, or it was cancelled
        self._given_up.forget(task.id)
        self._retried -= ending.granted
        return as_before(task, ending)

    def take_back(self, tasks: Iterable[Task]) -> None:
        """Leased tasks that no client has taken are WAITING again, before all others.

        Those that are to be cancelled are CANCELLED.
        """
        again: list[Task] = []
        cancelled: list[Task] = []
        with self._lock:
            for task in tasks:
                if self._sent.pop(task.id, None) is None:
                    continue
                stays = task.id not in self._cancelling
                state = TaskState.WAITING if stays else TaskState.CANCELLED
                self._cancelling.discard(task.id)
                self._note_moved(task.id, state)
                self._tally.move(task.group, TaskState.SENT, state)
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

    # Clients of a server that died.

    def adopt(self, client: str, pairs: Sequence[Pair]) -> list[Pair] | None:
        """Those of the tasks (id and lease) that a client holds for a server that died.

        None if there are none: it is a stranger.
        """
        with self._lock:
            return self._recovery.adopt(client, pairs) or None

    def seen(self, client: str) -> None:
        """A client of a server that died is gone: it holds nothing that is not known."""
        with self._lock:
            self._recovery.seen(client)

    def absent_clients(self) -> list[str]:
        """The clients of the previous server that are neither back nor gone."""
        with self._lock:
            return self._recovery.absent()

    def all_seen(self) -> bool:
        """Whether no client that may hold a task is still to come back."""
        return self._recovery.all_seen()

    def orphans(self) -> list[Outcome]:
        """An outcome for each task that no client of the server that died has come back with."""
        with self._lock:
            return [
                Outcome(task_id, self._sent[task_id].lease, Ending.ORPHANED)
                for task_id in self._recovery.orphans()
                if task_id in self._sent
            ]

    def _is_out(self, pair: Pair) -> bool:
        """Whether a task is out under this very lease."""
        return pair[0] in self._sent and self._sent[pair[0]].lease == pair[1]

    def to_cancel(self) -> list[Pair]:
        """Tasks (id and lease) that clients hold and that are to be cancelled."""
        with self._lock:
            return [(i, self._sent[i].lease) for i in self._cancelling if i in self._sent]

    # What people change.

    def cancel(self, selection: Selection) -> Changed:
        """Cancel unfinished tasks: waiting ones now, running ones when their client ended them.

        Those that run are in `to_cancel` from now on. Without a database, a
        selection that is not by id raises NoDatabase.
        """
        with self._found(selection) as found, self._lock:
            running = [task.id for task in found if task.id in self._sent]
            self._cancelling.update(running)
            now = [t.id for t in found if t.id not in self._sent and self._strike(t)]
            commits = []
            if now:
                commits.append(self._journal.cancelled(now))
            if running:
                commits.append(self._journal.cancelling(running))
        for commit in commits:
            commit.wait()
        self._on_final([(task_id, TaskState.CANCELLED) for task_id in now])
        changed = len(now) + len(running)
        return Changed(changed, len(running), len(found) - changed)

    def _strike(self, task: Found) -> bool:
        """Take a task that no client holds out of what is to be done; whether it could be."""
        inside = self._waiting.remove(task.id) is not None
        before = TaskState.WAITING if inside else (self._moved or {}).get(task.id, task.state)
        if before not in CANCEL.at_once:
            return False
        self._interrupted.pop(task.id, None)
        if task.is_ours:
            self._tally.add(task.group, before, -1)
            self._tally.add(task.group, TaskState.CANCELLED)
        return True

    def retry(self, selection: Selection) -> Changed:
        """Make FAILED, CANCELLED and INTERRUPTED tasks wait again, in this run."""
        with self._found(selection) as found, self._lock:
            if self._closed:
                raise StoreClosed("the run is over")
            chosen = self._unmoved(found, RETRY)
            for task in chosen:
                interrupted = self._interrupted.get(task.id)
                self._forget(task)
                self._tally.add(task.group, TaskState.WAITING)
                if interrupted is not None and not self._journal.keeps:
                    self._waiting.take_in(interrupted)  # there is nowhere to read it from
            self._revisions += 1
            commit = self._journal.revived([task.id for task in chosen])
            self._waiting.start_over()  # they may stand before all that is in it
        commit.wait()
        return Changed(len(chosen), 0, len(found) - len(chosen))

    def delete(self, selection: Selection) -> Changed:
        """Forget tasks that are final, or INTERRUPTED."""
        with self._found(selection) as found, self._lock:
            chosen = self._unmoved(found, DELETE)
            for task in chosen:
                self._forget(task)
            self._revisions += 1
            commit = self._journal.deleted([task.id for task in chosen])
        commit.wait()
        return Changed(len(chosen), 0, len(found) - len(chosen))

    def _forget(self, task: Found) -> None:
        self._interrupted.pop(task.id, None)
        if task.is_ours:
            self._tally.add(task.group, task.state, -1)

    @contextmanager
    def _found(self, selection: Selection) -> Iterator[list[Found]]:
        """The tasks of a selection; where those went that move meanwhile is in `_moved`."""
        with self._changing:
            with self._lock:
                self._moved = {}
            try:
                yield self._find(selection)
            finally:
                self._moved = None

    def _note_moved(self, task_id: int, state: TaskState) -> None:
        if self._moved is not None:
            self._moved[task_id] = state

    def _unmoved(self, found: list[Found], rule: ChangeRule) -> list[Found]:
        """Those that the rule changes at once, and that are still as they were found."""
        return [t for t in found if t.state in rule.at_once and not self._has_moved(t)]

    def _has_moved(self, task: Found) -> bool:
        return task.id in self._sent or (self._moved is not None and task.id in self._moved)

    def _find(self, selection: Selection) -> list[Found]:
        if self._journal.keeps:
            return self._journal.find(selection)
        if not selection.ids or selection != Selection(ids=selection.ids):
            raise NoDatabase
        with self._lock:
            return [Found(i, *self._known(i)) for i in selection.ids]

    def _known(self, task_id: int) -> tuple[TaskState, int, bool]:
        """The state, group and whether it is ours of a task, as far as memory goes."""
        for state, task in (
            (TaskState.SENT, self._sent.get(task_id)),
            (TaskState.WAITING, self._waiting.get(task_id)),
            (TaskState.INTERRUPTED, self._interrupted.get(task_id)),
        ):
            if task is not None:
                return state, task.group, True
        return TaskState.SUCCEEDED, 0, False

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
            return self._revisions if is_idle else None

    def wait_until_durable(self) -> None:
        """Return when every change so far is durable; StartError if it never will be."""
        self._journal.flush().wait()

    def unfinished_among(self, task_ids: Iterable[int]) -> list[int]:
        """Those of these tasks that are not final, as far as memory goes."""
        with self._lock:
            return [i for i in task_ids if self._known(i)[0] not in FINAL]

    def close_if_finished(self) -> bool:
        """End the run if nothing more can be done: nothing can be added then. Whether it ended."""
        with self._lock:
            self._closed = self._tally.unfinished() == self._tally.blocked()
            return self._closed

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
            held = [*self._sent.values(), *self._interrupted.values()]
            numbers = [*self._waiting.numbers(), *(task.number for task in held)]
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
