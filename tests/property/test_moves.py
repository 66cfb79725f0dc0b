"""The store, for any sequence of what can happen to tasks: each is somewhere, once."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hypershell.core.begun import Begun
from hypershell.core.ending import CountsAs, Ending
from hypershell.core.outcome import Outcome
from hypershell.core.retry import Policy
from hypershell.core.state import FINAL, MOVES, TaskState
from hypershell.core.task import Task, new_task
from hypershell.store.tasks.task_store import TaskStore


class Tasks(RuleBasedStateMachine):
    """A store and what is known to have been done with it."""

    @initialize(
        policy=st.builds(Policy, st.integers(0, 2), st.integers(1, 3), st.booleans()),
    )
    def begin(self, policy: Policy) -> None:
        """An empty store."""
        self.policy = policy
        self.store = TaskStore(policy)
        self.lines: dict[int, bytes] = {}
        self.states: dict[int, TaskState] = {}
        self.sent: dict[int, Task] = {}
        self.urgent: set[int] = set()
        self.old: list[Outcome] = []
        self.attempts: Counter[int] = Counter()
        self.retried = 0

    @rule(lines=st.lists(st.binary(max_size=5), max_size=6))
    def add(self, lines: list[bytes]) -> None:
        """Lines are read."""
        tasks = [
            new_task(line, len(self.lines) + n, len(self.lines) + n)
            for n, line in enumerate(lines, 1)
        ]
        self.store.add(tasks)
        for task in tasks:
            self.lines[task.id] = task.line
            self.move(task.id, None, TaskState.WAITING)

    @rule(limit=st.integers(0, 8), urgent=st.booleans())
    def lease(self, limit: int, urgent: bool) -> None:
        """Some are handed out."""
        tasks = self.store.lease_urgent() if urgent else self.store.lease(limit)
        if urgent:
            assert sorted(task.id for task in tasks) == sorted(self.urgent)
        else:
            assert len(tasks) == min(limit, self.count(TaskState.WAITING))
        for task in tasks:
            assert self.lines[task.id] == task.line
            assert task.id not in self.sent
            assert task.failures <= self.policy.max_retries
            assert task.losses < self.policy.max_lost
            self.sent[task.id] = task
            self.urgent.discard(task.id)
            self.move(task.id, TaskState.WAITING, TaskState.SENT)

    @rule(
        data=st.data(),
        ending=st.sampled_from(Ending),
        code=st.integers(0, 1),
        stopping=st.booleans(),
    )
    def record(self, data: st.DataObject, ending: Ending, code: int, stopping: bool) -> None:
        """Outcomes come, some twice, some of a lease that is over."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.sent)))) if self.sent else []
        fresh = [Outcome(i, self.sent[i].lease, ending, code) for i in chosen]
        stale = data.draw(st.lists(st.sampled_from(self.old), max_size=3)) if self.old else []
        recorded = self.store.record([("c", [*stale, *fresh])], stopping)
        assert sorted(set(chosen)) == sorted(r.task.id for r in recorded)
        for task, state, outcome, _, number in recorded:
            self.old.append(outcome)
            before = self.sent.pop(task.id)
            assert number == before.attempt
            assert before.lease == task.lease == outcome.lease
            is_another = state is TaskState.WAITING and outcome.ending.tried
            assert task.attempt - before.attempt == is_another
            self.retried += state is TaskState.WAITING and outcome.ending.granted
            self.move(task.id, self.states[task.id], state)
            if state is TaskState.WAITING and self.goes_first(task, ending):
                self.urgent.add(task.id)

    def goes_first(self, task: Task, ending: Ending) -> bool:
        """Whether a task waits before new ones: not after its own failure, nor on its last loss."""
        if task.losses and task.losses + 1 == self.policy.max_lost:
            return False
        return self.policy.eager or ending.counts_as is not CountsAs.FAILURE

    @rule(data=st.data(), late=st.booleans())
    def begin_tasks(self, data: st.DataObject, late: bool) -> None:
        """A client says what it has begun, some of it twice, or of a lease that is over."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.sent)))) if self.sent else []
        begun = [Begun(i, self.sent[i].lease - late, 1e9, 1, 77) for i in chosen]
        self.store.begin("c", begun)
        for task_id in () if late else chosen:
            if self.states[task_id] is TaskState.SENT:
                self.move(task_id, TaskState.SENT, TaskState.RUNNING)

    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        """What no client has taken comes back."""
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.sent)))) if self.sent else set()
        self.store.take_back([self.sent[i] for i in chosen])
        for i in chosen:
            del self.sent[i]
            self.urgent.add(i)
            self.move(i, self.states[i], TaskState.WAITING)

    def move(self, task_id: int, before: TaskState | None, after: TaskState) -> None:
        """A task goes from one state to another, as the table allows."""
        assert self.states.get(task_id) is before
        assert before is None or after in MOVES[before]
        self.states[task_id] = after

    def count(self, state: TaskState) -> int:
        """How many tasks are known to be in a state."""
        return list(self.states.values()).count(state)

    @invariant()
    def every_task_is_in_exactly_one_state(self) -> None:
        """And the store counts them there."""
        counts = self.store.counts()
        for state in TaskState:
            assert getattr(counts, state.value) == self.count(state)
        assert counts.total == len(self.lines)
        assert counts.unfinished == self.store.unfinished()
        assert counts.retried == self.retried

    @invariant()
    def what_is_not_final_is_named(self) -> None:
        """By line number, each once."""
        expected = sorted(i for i, state in self.states.items() if state not in FINAL)
        assert self.store.unfinished_numbers() == expected

    @invariant()
    def the_backlog_is_what_waits(self) -> None:
        """In tasks and in bytes."""
        waiting = [self.lines[i] for i, s in self.states.items() if s is TaskState.WAITING]
        assert self.store.backlog() == (len(waiting), sum(map(len, waiting)))

    def teardown(self) -> None:
        """In the end everything that waits can be handed out, once."""
        if hasattr(self, "store"):
            waiting = self.count(TaskState.WAITING)
            rest = self.store.lease(waiting + 1)
            assert waiting == len({task.id for task in rest}) == len(rest)


TestTasks = Tasks.TestCase
TestTasks.settings = settings(deadline=None, max_examples=40, stateful_step_count=25)
