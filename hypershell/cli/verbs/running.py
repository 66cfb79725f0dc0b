"""One command on the farm, from the submission to its exit status."""

import sys
from typing import Any

from hypershell.app.locate import connect, place_from
from hypershell.app.submit import one_line
from hypershell.app.task_api import RemoteTasks
from hypershell.app.wait import wait_for
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import cell, warn, write
from hypershell.cli.selection_options import submit_options_from
from hypershell.core.ending import Ending
from hypershell.core.errors import HyperShellError
from hypershell.core.query.selection import Selection

_CANCELLED = 130


def run_one(parsed: Parsed) -> int:
    """Submit, wait, pass on; the exit status."""
    submit_options = submit_options_from(parsed, captured=True)
    line = one_line(parsed)
    hand = RemoteTasks(connect(place_from(parsed), "hyper-shell run"), "run")
    ids: list[int] = []
    try:
        while not ids:
            ids = hand.submit([line], submit_options)
        which = Selection(ids=tuple(ids))
        ended = wait_for(hand, which)
    except KeyboardInterrupt:
        _cancel(parsed, ids)
        return _CANCELLED
    if ended["unfinished"]:
        warn(f"task {ids[0]} cannot start: it waits for a group that failed")
        return 1
    return _pass_on(hand, ids[0])


def _cancel(parsed: Parsed, ids: list[int]) -> None:
    """Over a connection of its own: a call is under way on the other."""
    if not ids:
        return
    try:
        hand = RemoteTasks(connect(place_from(parsed), "hyper-shell run"), "run")
        hand.cancel(Selection(ids=tuple(ids)))
    except HyperShellError as error:
        warn(f"task {ids[0]} could not be cancelled: {error}")
    else:
        warn(f"task {ids[0]} cancelled")


def _pass_on(hand: RemoteTasks, task_id: int) -> int:
    output = hand.output(task_id)
    task = hand.task(task_id)
    if output is not None:
        write(output[0])
        sys.stderr.flush()
        sys.stderr.buffer.write(output[1])
        sys.stderr.buffer.flush()
    if task is None:
        warn(f"task {task_id} was deleted meanwhile")
        return 1
    return _status(task)


def _status(task: dict[str, Any]) -> int:
    """The exit status of the last attempt, as a shell has it."""
    if task["state"] == "cancelled":
        warn(f"task {task['id']} was cancelled")
        return 1
    if task["exit_status"] is not None:
        return min(int(task["exit_status"]), 255)
    if task["signal"] is not None:
        return 128 + min(int(task["signal"]), 127)
    ending = next((each for each in Ending if each.word == task["ending"]), Ending.LOST)
    reason = f": {cell('reason', task['reason'])}" if task["reason"] else ""
    warn(f"task {task['id']}: {ending.describe(0)}{reason}")
    return max(ending.exit_value, 1)
