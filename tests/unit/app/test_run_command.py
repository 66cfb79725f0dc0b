"""The exit status of one command on the farm."""

import os
import signal

import pytest

from hypershell.app import run_command as module
from hypershell.app.locate import ServerLocation
from hypershell.app.run_command import RunOptions, exit_status, run_command
from hypershell.core.submission import SubmitOptions


def task(**facts: object) -> dict[str, object]:
    """A task that is final, as the server tells of it."""
    nothing = {
        "ending": "exited",
        "reason": None,
        "id": 7,
        "state": "failed",
        "exit_status": None,
        "signal": None,
    }
    return nothing | facts


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"state": "succeeded", "exit_status": 0}, 0),
        ({"exit_status": 3}, 3),
        ({"exit_status": 300}, 255),
        ({"signal": 9}, 137),
        ({"signal": 500}, 255),
    ],
)
def test_the_status_is_that_of_a_shell(facts, status):
    """It says all by itself."""
    assert (status, "") == exit_status(task(**facts))


@pytest.mark.parametrize(
    ("facts", "status", "note"),
    [
        ({"state": "cancelled", "exit_status": 0}, 1, "task 7 was cancelled"),
        (
            {"ending": "unstartable", "reason": "too long"},
            126,
            "task 7: could not be started: too long",
        ),
        ({"ending": "lost"}, 1, "task 7: its client died or was cut off"),
    ],
)
def test_what_a_status_cannot_say_is_noted(facts, status, note):
    """In words."""
    assert (status, note) == exit_status(task(**facts))


class InterruptedTasks:
    """A server that has the task begin, and Ctrl-C pressed, before it answers a submission."""

    def __init__(self, presses: int) -> None:
        self.presses = presses
        self.cancelled: list[tuple[int, ...]] = []
        self.proxy = type("Proxy", (), {"server_uid": "uid"})()

    def submit(self, lines: list[bytes], options: SubmitOptions) -> list[int]:
        """Take them."""
        for _ in range(self.presses):
            os.kill(os.getpid(), signal.SIGINT)
        return [7]

    def cancel(self, selection) -> None:
        """Note which are cancelled."""
        self.cancelled.append(selection.ids)


@pytest.mark.parametrize(
    ("presses", "cancelled", "note"),
    [(1, [(7,)], "task 7 cancelled"), (2, [], "interrupted; `hyper-shell list` shows")],
)
def test_ctrl_c_before_the_answer_cancels_the_task_all_the_same(
    monkeypatch, presses, cancelled, note
):
    """Its id is waited for; who does not want to wait presses again."""
    tasks = InterruptedTasks(presses)
    monkeypatch.setattr(module, "open_remote_tasks", lambda *_: tasks)

    result = run_command(RunOptions(ServerLocation(), SubmitOptions(), b"sleep 60"))

    assert (130, cancelled) == (result.exit_status, tasks.cancelled)
    assert result.note.startswith(note)
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)
