"""The client plane as people and scripts see it: submitting, asking, changing, stopping."""

from typing import Any

from hypershell.access.keys import CLIENT
from hypershell.core.query.selection import Changed, Selection
from hypershell.core.submission import SubmitOptions
from hypershell.wire.proxy import CALL_SECONDS, PlaneProxy

CLIENT_SERVICE = "client service"
"""The identity of the object that a client plane exposes."""

_ASKING = {"info", "count", "rows", "task", "output", "failures", "wait", "explain"}

VERBS = frozenset(_ASKING | {"submit", "cancel", "retry", "delete", "stop", "hold", "set_slots"})

SUBMIT_SECONDS = 10.0
"""Seconds that the server may make a submission wait for capacity before it refuses it."""

MAX_EXPLAINED = 1000
"""Tasks about which one call may ask why they do not run."""

MAX_SLOTS = 100_000

MAX_WAIT = 60.0
"""How long one call of `wait` may take."""

CHANGE_SECONDS = 300.0
"""How long a question or change that goes through all tasks may take."""


class ClientPlaneProxy(PlaneProxy):
    """A server's client plane.

    Every call raises CallRefused, with its kind, where the server does not do what it is asked, and
    ValueError where the answer is not one to this question.
    """

    server_uid = ""
    """By which name the access file calls the server, for those who look for it again."""

    def __init__(self, host: str, port: int, secret: bytes) -> None:
        super().__init__(CLIENT, CLIENT_SERVICE, host, port, secret)

    def explain(self, task_ids: list[int]) -> dict[int, list[str]]:
        """Why tasks are not running: the reasons, a line each, by their ids."""
        found = self._call("explain", task_ids)
        if isinstance(found, list):
            return {number: [str(reason) for reason in reasons] for number, reasons in found}
        raise ValueError("not reasons")

    def submit(self, lines: list[bytes], submit_options: SubmitOptions | None = None) -> list[int]:
        """Add lines as tasks and return their ids; none if there is no capacity."""
        how = (submit_options or SubmitOptions()).pack()
        ids = self._call("submit", lines, how, seconds=SUBMIT_SECONDS + CALL_SECONDS)
        if isinstance(ids, list) and all(isinstance(number, int) for number in ids):
            return ids
        raise ValueError("not a list of ids")

    def info(self) -> dict[str, Any]:
        """What the server says of itself, its tasks and its clients."""
        facts = self._call("info")
        if not isinstance(facts, dict):
            raise ValueError("not a table of facts")
        return facts

    def count(self, selection: Selection) -> int:
        """Count the tasks in a selection."""
        number = self._call("count", selection.pack(), seconds=CHANGE_SECONDS)
        if not isinstance(number, int):
            raise ValueError("not a number")
        return number

    def rows(
        self, selection: Selection, fields: list[str], after: int, limit: int
    ) -> tuple[list[list[Any]], int]:
        """Fields of tasks after an id, and the last id of them, 0 if there are no more."""
        answer = self._call("rows", selection.pack(), fields, after, limit, seconds=CHANGE_SECONDS)
        match answer:
            case [list(rows), int(last)] if all(
                isinstance(row, list) and len(row) == len(fields) for row in rows
            ):
                return rows, last
        raise ValueError("not rows of tasks")

    def task(self, task_id: int) -> dict[str, Any] | None:
        """All of a task; None if there is none of that id."""
        facts = self._call("task", task_id)
        if facts is not None and not isinstance(facts, dict):
            raise ValueError("not the facts of a task")
        return facts

    def output(self, task_id: int) -> tuple[bytes, bytes] | None:
        """What a captured task printed to standard output and error; None if it is not there."""
        match self._call("output", task_id):
            case None:
                return None
            case [bytes(out), bytes(err)]:
                return out, err
        raise ValueError("not what a task printed")

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """The failed tasks of a selection, by cause."""
        found = self._call("failures", selection.pack(), seconds=CHANGE_SECONDS)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise ValueError("not a list of causes")
        return found

    def wait(self, selection: Selection, seconds: float) -> dict[str, Any]:
        """Wait `seconds` until all of a selection is final: how many are `unfinished`, how many
        `bad`, and whether it is `over`.
        """
        answer = self._call("wait", selection.pack(), seconds, seconds=seconds + CHANGE_SECONDS)
        match answer:
            case {"unfinished": int(), "bad": int(), "over": bool()}:
                return dict(answer)
        raise ValueError("not the end of a wait")

    def cancel(self, selection: Selection) -> Changed:
        """Cancel tasks; clients that run some of them stop these."""
        return self._change("cancel", selection)

    def retry(self, selection: Selection) -> Changed:
        """Let tasks wait again that did not succeed."""
        return self._change("retry", selection)

    def delete(self, selection: Selection) -> Changed:
        """Forget tasks."""
        return self._change("delete", selection)

    def hold(self, client_id: str, *, held: bool) -> None:
        """Hand out nothing more, to one client or with "" to all, or hand out again."""
        self._call("hold", client_id, held)

    def set_slots(self, client_id: str, slots: int) -> None:
        """Have a client run so many tasks at a time."""
        self._call("set_slots", client_id, slots)

    def stop(self, drain: bool) -> None:
        """Tell the server to end; with `drain`, after what runs has finished."""
        self._call("stop", drain)

    def wait_until_gone(self) -> None:
        """Wait until the server hangs up, which it does when it has cleaned up."""
        connection = self.connection()
        connection.set_timeout(None)
        try:
            connection.recv()
        except (EOFError, OSError):
            self.hang_up()

    def _change(self, verb: str, selection: Selection) -> Changed:
        match self._call(verb, selection.pack(), seconds=CHANGE_SECONDS):
            case [int(changed), int(running), int(refused)]:
                return Changed(changed, running, refused)
        raise ValueError("not the numbers of a change")
