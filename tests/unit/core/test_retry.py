"""When, how often and how soon a task is tried again, by the settings of its run and its own."""

import pytest

from hypershell.core.ending import Ending
from hypershell.core.outcome import Outcome
from hypershell.core.query.attempt import checked, holds
from hypershell.core.retry import Policy, decide
from hypershell.core.state import TaskState
from hypershell.core.task import Task
from hypershell.core.task_spec import TaskSpec, spec_of, unpack_spec

TASK = Task(7, b"compute \xff --seed 3", 3, lease=1, attempt=2, failures=1, priority=4)
FAILED = Outcome(
    7, 1, Ending.EXITED, 75, seconds=2.5, user_seconds=1.0, system_seconds=0.5, peak_kib=2048
)

HOLD = (
    "exit_status = 75",
    "exit_status == 75 or ending = timed-out",
    "exit_status in (1, 75)",
    "ending = exited and not (ending = 'timed out')",
    "attempt = 2 and failures <= 1 and losses = 0",
    'line ~ "seed [0-9]$" and number = 3 and id = 7',
    "duration > 2s and cpu = 1.5s and user = 1 and system = 0.5",
    "memory >= 2MiB and priority = 4 and group = 0",
    "not signal = KILL",
    'reason = "" and line !~ "seed 4"',
)
FAIL = (
    "exit_status = 7",
    "signal != KILL",
    "ending != exited",
    "ending in (timed-out, signaled)",
    "memory > 1GB",
    "not exit_status = 75",
    'line !~ "seed"',
)


@pytest.mark.parametrize("text", HOLD)
def test_a_condition_that_holds_for_an_attempt(text):
    """It is read back from how it is written out."""
    assert holds(checked(text), TASK, FAILED)


@pytest.mark.parametrize("text", FAIL)
def test_a_condition_that_does_not(text):
    """What an attempt does not have, as its signal, is false whatever the operator."""
    assert not holds(checked(text), TASK, FAILED)


@pytest.mark.parametrize("field", ["host", "client", "tag.k", "state", "added", "run", "pid"])
def test_a_field_that_is_not_known_then_is_refused(field):
    """It is named, with those that there are."""
    value = "2h ago" if field == "added" else "waiting" if field == "state" else "1"
    sign = "<" if field == "added" else "="

    with pytest.raises(ValueError, match="is not a field of an attempt"):
        checked(f"{field} {sign} {value}")


def state_after(policy: Policy, outcome: Outcome = FAILED, task: Task = TASK) -> TaskState:
    """Where the outcome takes the task."""
    return decide(task, outcome, policy, stopping=False)[1]


def test_a_failure_that_does_not_meet_the_condition_is_the_last():
    """However many retries are left; a loss of the client is none of its business."""
    policy = Policy(max_retries=9, spec=TaskSpec(retry_if=checked("exit_status = 1")))
    lost = Outcome(7, 1, Ending.LOST)

    assert (TaskState.FAILED, TaskState.WAITING) == (
        state_after(policy),
        state_after(policy, lost),
    )


def test_a_condition_gives_no_retries_of_its_own():
    """They are counted as without one."""
    policy = Policy(max_retries=1, spec=TaskSpec(retry_if=checked("exit_status = 75")))

    assert state_after(policy) is TaskState.FAILED


def test_a_task_has_its_own_condition_and_delay():
    """They win over those of the run."""
    spec = spec_of({"max_retries": 5, "retry_if": "exit_status = 75", "retry_delay": [3, 5]})
    policy = Policy(spec=TaskSpec(retry_if="exit_status = 1", retry_delay=(60.0, 60.0)))
    task = TASK._replace(spec=spec)

    assert state_after(policy, task=task) is TaskState.WAITING
    assert 5 == policy.delay(task)
    assert 60 == policy.delay(TASK)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 3.0), (1, 6.0), (2, 12.0), (5, 60.0), (99, 60.0)]
)
def test_a_delay_doubles_up_to_its_longest(failures, seconds):
    """From the first failure on."""
    policy = Policy(spec=TaskSpec(retry_delay=(3.0, 60.0)))

    assert seconds == policy.delay(TASK._replace(failures=failures))


def test_settings_of_retries_are_packed_and_read_back():
    """As the wire and the database have them."""
    spec = TaskSpec(retry_delay=(1.0, 8.0), retry_if="exit_status = 75")

    assert spec == unpack_spec(spec.pack())


@pytest.mark.parametrize(
    "values",
    [
        {"retry_delay": [2, 1]},
        {"retry_delay": [-1, 1]},
        {"retry_delay": ["1", 1]},
        {"retry_delay": 3},
        {"retry_if": "host = a"},
        {"retry_if": "exit_status ="},
        {"retry_if": 3},
    ],
)
def test_wrong_settings_of_retries_are_refused(values):
    """From a peer as from a database."""
    with pytest.raises(ValueError, match="retry_"):
        spec_of(values)
