"""Runs one command on the farm, from the submission to its exit status."""

from dataclasses import dataclass
from typing import Any

from hypershell.app.locate import ServerLocation
from hypershell.app.origin import submitted_here
from hypershell.app.task_api import RemoteTasks, open_remote_tasks
from hypershell.app.wait import wait_for
from hypershell.core.ending import Ending
from hypershell.core.errors import HyperShellError
from hypershell.core.query.selection import Selection
from hypershell.core.submission import SubmitOptions
from hypershell.runtime.signals import interrupt_held

_VERB = "run"
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One command, as a line of shell, and the server that is to have it run."""

    location: ServerLocation
    submit_options: SubmitOptions
    line: bytes


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, as a shell would say it; `note` says why if its status does not."""

    exit_status: int
    note: str = ""
    stdout: bytes = b""
    stderr: bytes = b""


def run_command(options: RunOptions) -> CommandResult:
    """Submit the command and wait for it; Ctrl-C cancels it. NoServer, Refused, StartError."""
    submit_options = submitted_here(options.submit_options)
    api = open_remote_tasks(options.location, _VERB)
    ids: list[int] = []
    try:
        while not ids:
            # The task may begin before we know its id, by which it is cancelled.
            with interrupt_held():
                ids = api.submit([options.line], submit_options)
        ended = wait_for(api, Selection(ids=tuple(ids)))
    except KeyboardInterrupt:
        location = options.location.of_server(api.proxy.server_uid)
        return CommandResult(_INTERRUPTED, _cancel(location, ids))
    if ended["unfinished"]:
        note = f"task {ids[0]} cannot start: an earlier group failed"
        return CommandResult(1, note)
    return _result(api, ids[0])


def _cancel(location: ServerLocation, ids: list[int]) -> str:
    """Cancel over a new connection, since a call is under way on the other; the result in words."""
    if not ids:
        return "interrupted; `hyper-shell list` shows whether the server took the command"
    try:
        open_remote_tasks(location, _VERB).cancel(Selection(ids=tuple(ids)))
    except HyperShellError as error:
        return f"task {ids[0]} could not be cancelled: {error}"
    return f"task {ids[0]} cancelled"


def _result(api: RemoteTasks, task_id: int) -> CommandResult:
    stdout, stderr = api.output(task_id) or (b"", b"")
    task = api.task(task_id)
    if task is None:
        status, note = 1, f"task {task_id} was deleted before it finished"
    else:
        status, note = exit_status(task)
    return CommandResult(status, note, stdout, stderr)


def exit_status(task: dict[str, Any]) -> tuple[int, str]:
    """The exit status of a task's last attempt as a shell has it, and a note if it needs one."""
    if task["state"] == "cancelled":
        return 1, f"task {task['id']} was cancelled"
    if task["exit_status"] is not None:
        return min(int(task["exit_status"]), 255), ""
    if task["signal"] is not None:
        return 128 + min(int(task["signal"]), 127), ""
    ending = next((each for each in Ending if each.word == task["ending"]), Ending.LOST)
    reason = f": {task['reason']}" if task["reason"] else ""
    return max(ending.exit_value, 1), f"task {task['id']}: {ending.describe(0)}{reason}"
