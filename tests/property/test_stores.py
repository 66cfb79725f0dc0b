"""A store over memory and one over a database answer alike, and the database says the same.

The window over the database is tiny, so that most of what waits is in the database alone. Deaths
and restarts are part of it; what a run finds then is worked out here by hand.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from hypershell.core.begun import Begun
from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.query.selection import Selection
from hypershell.core.retry import Policy
from hypershell.core.run_mode import RunMode
from hypershell.core.state import FINAL, HANDED_OUT, TaskState
from hypershell.core.task import Task
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec
from hypershell.store.sql.engine import sqlite_url
from hypershell.store.sql.maintenance import complaints
from hypershell.store.sql.rows import task_of
from hypershell.store.sql.schema import RUNNING, STATES, TASKS
from hypershell.store.tasks.journal import Recorded
from hypershell.store.tasks.tally import Tally
from hypershell.store.tasks.task_store import RecoveredState, TaskStore
from tests.helpers.stored import CLIENT, StoredRun

WINDOW = 3
OVER_AGAIN = {
    RunMode.RESTART: {TaskState.FAILED, TaskState.INTERRUPTED},
    RunMode.FOREVER: {TaskState.INTERRUPTED},
}
"""What waits again, as though it had never been tried, at each way to begin."""

lines = st.builds(
    lambda text, group, priority: (
        text + b" # HYPERSHELL: group:%d priority:%d" % (group, priority) if group >= 0 else text
    ),
    st.binary(min_size=1, max_size=4).map(lambda text: b"t" + text.replace(b"\n", b"")),
    st.integers(-3, 2),
    st.integers(-1, 1),
)
some = st.lists(st.integers(0, 40), max_size=4)
"""Which of the tasks that there are, by their place among them."""


class Stores(RuleBasedStateMachine):
    """Two stores of which the same is asked, and what is known of each task."""

    def __init__(self, new_url: Callable[[], str]) -> None:
        super().__init__()
        self.url = new_url()

    @initialize(policy=st.builds(Policy, st.integers(0, 2), st.integers(1, 3), st.booleans()))
    def begin(self, policy: Policy) -> None:
        """Both are empty."""
        self.policy = policy
        self.told: list[tuple[int, TaskState]] = []
        self.told_memory: list[tuple[int, TaskState]] = []
        self.memory = TaskStore(policy, on_final=self.told_memory.extend)
        self.run = StoredRun(self.url, policy=policy, most_tasks=WINDOW, on_final=self.told.extend)
        self.tasks: dict[int, Task] = {}
        self.states: dict[int, TaskState] = {}
        self.tried: dict[int, int] = {}
        self.ours: set[int] = set()
        self.cancelling: set[int] = set()
        self.ids: set[int] = set()
        self.old: list[Outcome] = []
        self.client_has_left = False

    # What servers do.

    @rule(
        new=st.lists(lines, max_size=8),
        spec=st.sampled_from([DEFAULT_SPEC, TaskSpec(0), TaskSpec(3, capture=True)]),
    )
    def add(self, new: list[bytes], spec: TaskSpec) -> None:
        """Lines are read."""
        tasks = self.run.add(*new, spec=spec)
        self.memory.add(tasks)
        for task in tasks:
            assert task.id not in self.ids
            self.ids.add(task.id)
            self.wait(task)

    @rule(limit=st.integers(0, 12))
    def lease(self, limit: int) -> None:
        """Some are handed out: the same, in the same order, however little is in the window."""
        expected = self.memory.lease(limit)
        found: list[Task] = []
        while more := self.run.store.lease(limit - len(found)) if len(found) < limit else []:
            found += more
        assert expected == found
        for task in found:
            self.tasks[task.id] = task
            self.states[task.id] = TaskState.SENT

    @rule(
        which=some, ending=st.sampled_from(Ending), code=st.integers(0, 1), stopping=st.booleans()
    )
    def record(self, which: list[int], ending: Ending, code: int, stopping: bool) -> None:
        """Outcomes come, some of them late or twice."""
        fresh = [
            Outcome(task_id, self.tasks[task_id].lease, ending, code)
            for task_id in self.pick(which, TaskState.SENT, TaskState.RUNNING)
        ]
        given = [(CLIENT, [*self.old[-2:], *fresh])]
        recorded = self.run.store.record(given, stopping)
        assert self.memory.record(given, stopping) == recorded
        self.note(recorded)

    @rule(which=some, late=st.integers(0, 1))
    def begin_tasks(self, which: list[int], late: int) -> None:
        """A client says what it has begun, perhaps twice, or of a lease that is over."""
        begun = [
            Begun(task_id, self.tasks[task_id].lease - late, 1e9, 1, 77)
            for task_id in self.pick(which, TaskState.SENT, TaskState.RUNNING)
        ]
        for store in (self.run.store, self.memory):
            store.begin(CLIENT, begun)
        self.run.store.wait_until_durable()
        if not late:
            self.states.update((each.task_id, TaskState.RUNNING) for each in begun)

    @rule(which=some)
    def take_back(self, which: list[int]) -> None:
        """What no client has taken comes back."""
        chosen = [self.tasks[task_id] for task_id in self.pick(which, TaskState.SENT)]
        for store in (self.run.store, self.memory):
            store.take_back(chosen)
        for task in chosen:
            if task.id in self.cancelling:
                self.states[task.id] = TaskState.CANCELLED
            else:
                self.wait(task._replace(sequence=0))
            self.cancelling.discard(task.id)

    # What people do.

    @rule(which=some)
    def cancel(self, which: list[int]) -> None:
        """Whatever it is, by its id."""
        chosen = self.pick(which, *TaskState)
        if not chosen:
            return
        selection = Selection(ids=tuple(chosen))
        assert self.memory.cancel(selection) == self.run.store.cancel(selection)
        for task_id in chosen:
            if self.states[task_id] in HANDED_OUT:
                self.cancelling.add(task_id)
            elif self.states[task_id] not in FINAL:
                self.states[task_id] = TaskState.CANCELLED

    @rule(which=some)
    def retry(self, which: list[int]) -> None:
        """What is over waits again; memory has forgotten it, and is given it anew."""
        chosen = self.pick(
            which, TaskState.FAILED, TaskState.CANCELLED, TaskState.INTERRUPTED, TaskState.WAITING
        )
        if not chosen:
            return
        changed = self.run.store.retry(Selection(ids=tuple(chosen)))
        again = [i for i in chosen if self.states[i] is not TaskState.WAITING]
        assert (len(again), 0, len(chosen) - len(again)) == changed
        self.forget(again)
        for task_id in again:
            self.wait(self.rewound(task_id))
        self.memory.add([self.tasks[task_id] for task_id in again])

    @rule(which=some)
    def delete(self, which: list[int]) -> None:
        """What is over is gone, and its id is not given again."""
        chosen = self.pick(which, *FINAL, TaskState.INTERRUPTED, TaskState.WAITING)
        if not chosen:
            return
        changed = self.run.store.delete(Selection(ids=tuple(chosen)))
        gone = [i for i in chosen if self.states[i] is not TaskState.WAITING]
        assert (len(gone), 0, len(chosen) - len(gone)) == changed
        self.forget(gone)
        for task_id in gone:
            del self.tasks[task_id], self.states[task_id]
            self.ours.discard(task_id)

    def forget(self, task_ids: list[int]) -> None:
        """What memory does not do by itself with what it has forgotten."""
        for task_id in task_ids:
            self.memory._memory.interrupted.pop(task_id, None)
            if task_id in self.ours:
                group = self.tasks[task_id].group
                self.memory._tally.add(group, self.states[task_id], -1)

    # What befalls them.

    @rule(mode=st.sampled_from([RunMode.FOREVER, RunMode.RESTART]), dies=st.booleans())
    def restart(self, mode: RunMode, dies: bool) -> None:
        """The server dies or ends, and another goes on."""
        if dies:
            self.run.die()
        else:
            self.run.close()
            self.client_has_left = True
        self.told.clear()
        self.told_memory.clear()
        self.run = StoredRun(self.url, mode, self.policy, WINDOW, on_final=self.told.extend)
        for task_id, state in self.states.items():
            if state in OVER_AGAIN[mode]:
                self.wait(self.rewound(task_id))
        sent = [self.tasks[i] for i, s in sorted(self.states.items()) if s in HANDED_OUT]
        running = {i for i, state in self.states.items() if state is TaskState.RUNNING}
        waiting = [self.tasks[i] for i, s in self.states.items() if s is TaskState.WAITING]
        self.ours = {task.id for task in (*sent, *waiting)}
        tally = Tally()
        for task in sent:
            tally.add(task.group, self.states[task.id])
        start = RecoveredState(
            max(self.ids, default=0), tally, sent, running, set(self.cancelling), self.absent()
        )
        self.memory = TaskStore(self.policy, start=start, on_final=self.told_memory.extend)
        self.memory.add(waiting)
        self.old.clear()

    def absent(self) -> set[str]:
        """The clients that may hold something for a server that is gone."""
        return set() if self.client_has_left else {CLIENT}

    @rule(which=some, client=st.sampled_from([CLIENT, "76543210"]), late=st.integers(0, 1))
    def adopt(self, which: list[int], client: str, late: int) -> None:
        """A client of the server before comes back with what it holds."""
        chosen = self.pick(which, TaskState.SENT, TaskState.RUNNING)
        pairs = [(task_id, self.tasks[task_id].lease - late) for task_id in chosen]
        adopted = self.run.store.recovery.adopt(client, pairs)
        assert self.memory.recovery.adopt(client, pairs) == adopted

    @rule()
    def give_up_orphans(self) -> None:
        """What nobody came back with waits again."""
        given = [("", self.run.store.recovery.give_up())]
        assert self.memory.recovery.give_up() == given[0][1]
        recorded = self.run.store.record(given)
        assert self.memory.record(given) == recorded
        assert not self.run.store.recovery.orphans()
        self.note(recorded)

    # What is known.

    def pick(self, which: list[int], *states: TaskState) -> list[int]:
        """Ids of tasks in one of these states."""
        there = sorted(i for i, state in self.states.items() if state in states)
        return sorted({there[n % len(there)] for n in which}) if there else []

    def wait(self, task: Task) -> None:
        """A task waits, in this run."""
        self.tasks[task.id] = task
        self.states[task.id] = TaskState.WAITING
        self.ours.add(task.id)

    def note(self, recorded: list[Recorded]) -> None:
        """Outcomes were recorded."""
        for task, state, outcome, _, number in recorded:
            self.old.append(outcome)
            self.tasks[task.id] = task
            self.states[task.id] = state
            self.cancelling.discard(task.id)
            if outcome.ending.tried:
                self.tried[task.id] = number

    def rewound(self, task_id: int) -> Task:
        """A task as though it had never been tried, but for the number of its next attempt."""
        task = self.tasks[task_id]
        attempt = task.attempt + (self.tried.get(task_id) == task.attempt)
        return task._replace(attempt=attempt, failures=0, losses=0, sequence=2 * task_id)

    @invariant()
    def they_count_alike(self) -> None:
        """Tasks by state, what is left, what may go, and what is to be cancelled."""
        store, memory = self.run.store, self.memory
        assert memory.counts() == store.counts()
        assert memory.unfinished() == store.unfinished()
        assert memory.backlog()[0] == store.backlog()[0]
        assert sorted(memory.to_cancel()) == sorted(store.to_cancel())
        assert memory.recovery.orphans() == store.recovery.orphans()
        assert sorted(self.told, key=repr) == sorted(self.told_memory, key=repr)

    @invariant()
    def the_database_says_the_same(self) -> None:
        """Every task in its state; of one that may yet go out, all that there is to it."""
        with self.run.kept.database.reading() as connection:
            rows = connection.execute(select(TASKS).order_by(TASKS.c.id)).all()
            places = connection.execute(select(RUNNING)).all()
        assert self.states == {row.id: STATES[row.state] for row in rows}
        running = sorted(i for i, state in self.states.items() if state is TaskState.RUNNING)
        assert [(i, CLIENT, 1, 77, 1e9) for i in running] == sorted(tuple(row) for row in places)
        for row in rows:
            if STATES[row.state] in (TaskState.WAITING, *HANDED_OUT):
                assert self.tasks[row.id] == task_of(row)
                assert row.cancelling == (row.id in self.cancelling)
                assert row.scope == self.run.kept.begun.id

    def teardown(self) -> None:
        """In the end no rule of the database is broken."""
        if hasattr(self, "run"):
            found = list(complaints(self.run.kept.database))
            self.run.close()
            assert not found


def check(new_url: Callable[[], str], **how: Any) -> None:
    """Ask for examples of a number and length."""
    run_state_machine_as_test(
        lambda: Stores(new_url),
        settings=settings(deadline=None, suppress_health_check=list(HealthCheck), **how),
    )


@pytest.fixture
def new_sqlite_url():
    """New SQLite files, in memory: no power is lost here."""
    where = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(dir=where))
    numbers = iter(range(10**6))
    yield lambda: sqlite_url(folder / f"{next(numbers)}.db")
    shutil.rmtree(folder)


def test_memory_and_sqlite_answer_alike(new_sqlite_url):
    """For any sequence of what can happen to tasks."""
    check(new_sqlite_url, max_examples=15, stateful_step_count=25)


def test_memory_and_postgresql_answer_alike(postgres):
    """The same."""
    check(postgres.new_url, max_examples=4, stateful_step_count=20)


@pytest.mark.campaign
@pytest.mark.timeout(0)
def test_memory_and_postgresql_answer_alike_for_long(postgres):
    """More of them there."""
    check(postgres.new_url, max_examples=60, stateful_step_count=25)


@pytest.mark.campaign
@pytest.mark.timeout(0)
def test_memory_and_sqlite_answer_alike_for_long(new_sqlite_url):
    """Many more sequences, and longer ones."""
    check(new_sqlite_url, max_examples=1000, stateful_step_count=50)
