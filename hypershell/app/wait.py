"""Waiting for tasks, in the server: what `wait` and `run` have in common."""

import time
from typing import Any

from hypershell.app.task_api import RemoteTasks, TaskApi, open_task_api
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import warn
from hypershell.cli.selection_options import selection_from
from hypershell.core.errors import NoServer, ServerLeft, TasksNotKept, WaitTooLong
from hypershell.core.query.selection import Selection
from hypershell.core.units import counted
from hypershell.wire.client_plane import MAX_WAIT


def wait(parsed: Parsed) -> int:
    """Wait for what a command line says; the exit status."""
    which = selection_from(parsed, parsed.words("ID"))
    if which.is_everything() != parsed.flag("--all"):
        what = (
            "--all cannot be used with a selection" if parsed.flag("--all") else "no tasks selected"
        )
        raise parsed.error(what, "give ids, options such as --tag or --failed, or --all")
    timeout = parsed.text("--timeout")
    seconds = None if timeout is None else parsed.seconds("--timeout", default=0)
    hand = open_task_api(parsed)
    unknown = _unknown(hand, which)
    try:
        ended = wait_for(hand, which, seconds)
    except ServerLeft:
        # It may have ended because all was done: its database tells, if it has one.
        hand = _after(parsed)
        ended = hand.wait(which, 0)
    if unknown:
        warn(f"{unknown} of the ids not found")
    if ended["unfinished"]:
        why = (
            "they cannot finish in this run"
            if isinstance(hand, RemoteTasks)
            else "no server is running"
        )
        warn(f"{counted(ended['unfinished'], 'task')} unfinished: {why}")
    if ended["bad"]:
        warn(f"{counted(ended['bad'], 'task')} failed or cancelled")
    return int(bool(unknown or ended["unfinished"] or ended["bad"]))


def wait_for(hand: TaskApi, which: Selection, seconds: float | None = None) -> dict[str, Any]:
    """How a selection ended: `unfinished`, `bad`, `over`; WaitTooLong after so many seconds."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        remaining = MAX_WAIT if deadline is None else deadline - time.monotonic()
        ended = hand.wait(which, max(0.0, min(MAX_WAIT, remaining)))
        if ended["over"]:
            return ended
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTooLong(unfinished=counted(ended["unfinished"], "task"), seconds=seconds)


def _unknown(hand: TaskApi, which: Selection) -> int:
    """How many of the ids that were given are those of no task."""
    if not which.ids:
        return 0
    try:
        return len(which.ids) - hand.count(Selection(ids=which.ids))
    except TasksNotKept:
        return 0


def _after(parsed: Parsed) -> TaskApi:
    """What can be asked when the server has hung up; it may need a moment to be gone."""
    deadline = time.monotonic() + 5.0
    while True:
        try:
            hand = open_task_api(parsed)
        except NoServer:
            if time.monotonic() > deadline:
                raise
        else:
            if not isinstance(hand, RemoteTasks) or time.monotonic() > deadline:
                return hand
            hand.proxy.hang_up()
        time.sleep(0.05)  # nothing tells when another process has ended
