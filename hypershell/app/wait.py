"""Waits until tasks are final."""

import math
from dataclasses import dataclass
from typing import Any

from hypershell.app.locate import PATIENCE_SECONDS
from hypershell.app.task_api import RemoteTasks, TaskApi, TaskSource, check_cause, open_task_api
from hypershell.core.errors import NoServer, ServerLeft, TasksNotKept, WaitTooLong
from hypershell.core.query.selection import Selection
from hypershell.core.units import counted
from hypershell.runtime import clock
from hypershell.wire.client_plane import MAX_WAIT

_GONE_SECONDS = 5.0
"""Seconds that a server which has hung up may take to end."""


@dataclass(frozen=True, slots=True)
class WaitOptions:
    """Which tasks to wait for, and for how many seconds; None is as long as it takes."""

    source: TaskSource
    selection: Selection
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WaitVerdict:
    """How a wait ended, in numbers of tasks.

    `unfinished` tasks cannot become final as things are, `bad` ones failed or were cancelled, and
    `unknown` is how many of the ids belong to no task. `has_server` says whether a server answered
    last, or the task database was read.
    """

    unfinished: int
    bad: int
    unknown: int
    has_server: bool

    @property
    def is_good(self) -> bool:
        """Whether all of the tasks succeeded."""
        return not (self.unfinished or self.bad or self.unknown)


def wait(options: WaitOptions) -> WaitVerdict:
    """Wait until the tasks are final, or cannot become so; WaitTooLong, NoServer, StartError."""
    which = options.selection
    # Whoever gave more time than a command has by itself means it.
    patience = math.inf if options.seconds is None else options.seconds
    api = open_task_api(options.source, max(PATIENCE_SECONDS, patience))
    check_cause(api, which)
    unknown = _unknown(api, which)
    try:
        ended = wait_for(api, which, options.seconds)
    except ServerLeft:
        # It may have ended because all was done: its database tells, if it has one.
        api = _after(options.source)
        ended = api.wait(which, 0)
    return WaitVerdict(ended["unfinished"], ended["bad"], unknown, isinstance(api, RemoteTasks))


def wait_for(api: TaskApi, which: Selection, seconds: float | None = None) -> dict[str, Any]:
    """How a selection ended: `unfinished`, `bad`, `over`; WaitTooLong when the time is over."""
    deadline = None if seconds is None else clock.monotonic() + seconds
    while True:
        remaining = MAX_WAIT if deadline is None else deadline - clock.monotonic()
        ended = api.wait(which, max(0.0, min(MAX_WAIT, remaining)))
        if ended["over"]:
            return ended
        if deadline is not None and clock.monotonic() >= deadline:
            raise WaitTooLong(unfinished=counted(ended["unfinished"], "task"), seconds=seconds)


def _unknown(api: TaskApi, which: Selection) -> int:
    """How many of the given ids do not exist."""
    if not which.ids:
        return 0
    try:
        return len(which.ids) - api.count(Selection(ids=which.ids))
    except TasksNotKept:
        return 0


def _after(source: TaskSource) -> TaskApi:
    """The task API after the server has hung up; the server may need a moment to end."""
    deadline = clock.monotonic() + _GONE_SECONDS
    while True:
        try:
            api = open_task_api(source)
        except NoServer:
            if clock.monotonic() > deadline:
                raise
        else:
            if not isinstance(api, RemoteTasks) or clock.monotonic() > deadline:
                return api
            api.proxy.hang_up()
        clock.sleep(0.05)  # nothing tells when another process has ended
