"""What clients could not write of the output of their tasks: with it, a run has not succeeded."""

from hypershell.core.unwritten import Unwritten
from hypershell.runtime import threads

_MAX_CLIENTS = 10_000
"""More than this say the same, and need not be named."""


class UnwrittenOutput:
    """What each client last said. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threads.condition("unwritten output")
        self._said: dict[str, tuple[str, Unwritten]] = {}  # by client: its host, and what it said

    def note(self, client_id: str, host: str | None, unwritten: Unwritten) -> bool:
        """A client, which runs on `host`, says this; whether it says so for the first time.

        Without a host it is not registered: it is heard if it was before.
        """
        with self._changed:
            before = self._said.get(client_id)
            if before is None and (host is None or len(self._said) >= _MAX_CLIENTS):
                return False
            self._said[client_id] = (host or (before[0] if before else ""), unwritten)
            self._changed.notify_all()
        return before is None

    def wait_for_last(self, seconds: float) -> None:
        """Wait until each of these clients has said how much it was in the end."""
        with self._changed:
            self._changed.wait_for(self._are_final, seconds)

    def texts(self) -> tuple[str, ...]:
        """For each client that could not write something: which, and how much."""
        with self._changed:
            return tuple(
                f"client {client_id} on {host} could not write {said.text}"
                for client_id, (host, said) in self._said.items()
                if said.size
            )

    def _are_final(self) -> bool:
        return all(said.is_final for _, said in self._said.values())
