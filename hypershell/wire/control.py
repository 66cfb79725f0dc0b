"""The client plane as people and scripts see it: submit, info, stop."""

from typing import Any

from hypershell.access.keys import CLIENT
from hypershell.wire.proxy import CALL_SECONDS, PlaneProxy

CONTROL = "control"
"""The identity of the object that a client plane exposes."""

VERBS = frozenset({"submit", "info", "stop"})

SUBMIT_SECONDS = 10.0
"""How long the server may keep lines waiting for room before it says that there is none."""


class ControlProxy(PlaneProxy):
    """A server's client plane."""

    def __init__(self, host: str, port: int, secret: bytes) -> None:
        super().__init__(CLIENT, CONTROL, host, port, secret)

    def submit(self, lines: list[bytes]) -> list[int]:
        """Add lines as tasks and return their ids; none of them if there is no room just now."""
        ids = self._call("submit", lines, seconds=SUBMIT_SECONDS + CALL_SECONDS)
        if isinstance(ids, list) and all(isinstance(number, int) for number in ids):
            return ids
        raise ValueError("not a list of ids")

    def info(self) -> dict[str, Any]:
        """What the server says of itself, its tasks and its clients."""
        facts = self._call("info")
        if not isinstance(facts, dict):
            raise ValueError("not a table of facts")
        return facts

    def stop(self, drain: bool) -> None:
        """Tell the server to end; with `drain`, after what runs has finished."""
        self._call("stop", drain)

    def wait_until_gone(self) -> None:
        """Wait until the server hangs up, which it does when it has cleaned up behind itself."""
        connection = self.connection()
        connection.set_timeout(None)
        try:
            connection.recv()
        except (EOFError, OSError):
            self.hang_up()
