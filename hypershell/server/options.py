"""What a run of a server is to do, and how it ended."""

import math
from typing import NamedTuple

from hypershell.core.errors import StartError
from hypershell.core.halt import HaltRule
from hypershell.core.retry import Policy
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec
from hypershell.store.tasks.tally import Counts


class ServerOptions(NamedTuple):
    """What a run is to do. Times are in seconds. One that is `endless` waits for more
    tasks; one that `resumes` goes on with an input where an earlier one was, and one that
    `updates` runs what none had. It ends early by the
    rule `halt`. No more than `a_second` tasks are handed out in a second. With `fails_unfit`, tasks
    fail that no client can run; if it `guards`, clients without a success are on trial. `spec` is
    what each task is given that says nothing itself.
    """

    bundlesize: int = 1
    bundlewait: float = 5.0
    policy: Policy = Policy()
    spec: TaskSpec = DEFAULT_SPEC
    lease: float = 30.0
    grace: float = 5.0
    endless: bool = False
    resumes: bool = False
    updates: bool = False
    joblog: str | None = None
    halt: HaltRule | None = None
    fails_unfit: bool = False
    a_second: float = math.inf
    guards: bool = True


class Ended(NamedTuple):
    """How a run ended: what became of the tasks, and why it ended early, if it did.

    `unwritten` is how many lines of reports could not be written, `unwritten_output` says for each
    client concerned what it could not write of the output of tasks.
    """

    counts: Counts
    seconds: float
    signal: int = 0
    stopped: bool = False
    halted: HaltRule | None = None
    error: StartError | None = None
    failure: Exception | None = None
    unfinished_numbers: tuple[int, ...] = ()
    failed_numbers: tuple[int, ...] = ()
    unread_from: int = 0
    unwritten: int = 0
    unwritten_output: tuple[str, ...] = ()
