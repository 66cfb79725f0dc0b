"""The retry rule: where an outcome takes a task, how often it is tried again, and how soon."""

from dataclasses import replace
from typing import NamedTuple

from hypershell.core.ending import CountsAs, Ending
from hypershell.core.outcome import Outcome
from hypershell.core.setting_values import MAX_MEMORY
from hypershell.core.state import TaskState
from hypershell.core.task import Task, with_counts
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec, layered

_MAX_DOUBLINGS = 60


class Policy(NamedTuple):
    """How often a task is tried again, and when.

    `max_retries` are further attempts after a failure, and `spec` has the other settings of them:
    for tasks that say nothing of it themselves. A
    task that lost `max_lost` clients is not given to another. An `eager` retry goes before new
    tasks, any other after those already read; a task that only lost its client goes before them,
    unless the next loss would be its last.
    """

    max_retries: int = 0
    max_lost: int = 3
    eager: bool = False
    spec: TaskSpec = DEFAULT_SPEC

    def may_retry(self, task: Task, outcome: Outcome) -> bool:
        """Whether this task is tried again after another failure, which is this one."""
        own = task.spec.max_retries
        if task.failures >= (self.max_retries if own is None else own):
            return False
        condition = task.spec.retry_if or self.spec.retry_if
        if condition is None:
            return True
        from hypershell.core.query.attempt import holds

        return holds(condition, task, outcome)

    def delay(self, task: Task) -> float:
        """How many seconds this task waits after a failure; `task` has the counts from before."""
        seconds, most = task.spec.retry_delay or self.spec.retry_delay or (0.0, 0.0)
        return min(seconds * 2.0 ** min(task.failures, _MAX_DOUBLINGS), most)

    def with_more_memory(self, task: Task) -> Task:
        """This task as it is after it was ended for want of memory."""
        spec = layered(task.spec, self.spec)
        if spec.retry_memory is None or spec.memory_request is None:
            return task
        more = min(int(spec.memory_request * spec.retry_memory), MAX_MEMORY)
        return task._replace(spec=replace(task.spec, memory_request=more))


def is_suspect(task: Task) -> bool:
    """Whether a client died while it ran this task: it may be what kills clients."""
    return task.losses > 0


def is_last_chance(task: Task, max_lost: int) -> bool:
    """Whether this task is suspect, and the next client that dies while it runs condemns it."""
    return 0 < task.losses >= max_lost - 1


def goes_first(task: Task, outcome: Outcome, policy: Policy) -> bool:
    """Whether a task that waits again after this outcome goes before new ones.

    What failed goes after those already read, unless retries are eager, and so does what would be
    condemned by the next loss. All else was interrupted through no fault of its own.
    """
    if is_last_chance(task, policy.max_lost):
        return False
    return policy.eager or outcome.ending.counts_as is not CountsAs.FAILURE


def decide(task: Task, outcome: Outcome, policy: Policy, stopping: bool) -> tuple[Task, TaskState]:
    """The state to which this outcome moves a task that was handed out, and the task as it is then.

    A task that is stopped with its client waits for another; one that is stopped with the run
    (`stopping`) is INTERRUPTED.
    """
    if outcome.ok:
        return task, TaskState.SUCCEEDED
    ending = outcome.ending
    if not ending.tried:
        return task, TaskState.WAITING
    state = ending.leads_to
    if state is TaskState.INTERRUPTED and not stopping:
        state = TaskState.WAITING
    failures, losses = task.failures, task.losses
    has_failed = False
    if ending.counts_as is CountsAs.FAILURE:
        failures += 1
        has_failed = not policy.may_retry(task, outcome)
    elif ending.counts_as is CountsAs.LOSS:
        losses += 1
        has_failed = losses >= policy.max_lost
    if has_failed and state is TaskState.WAITING:
        state = TaskState.FAILED
    if ending is Ending.OUT_OF_MEMORY and state is TaskState.WAITING:
        task = policy.with_more_memory(task)
    attempt = task.attempt + (state is TaskState.WAITING)
    return with_counts(task, task.lease, attempt, failures, losses), state
