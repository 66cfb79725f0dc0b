"""What a launcher promises: it starts the clients of a run, and ends them."""

from collections.abc import Callable, Mapping
from typing import Protocol


class Launcher(Protocol):
    """Starts the clients of a run and ends them."""

    def prepare(self, arguments: list[str], key: str, variables: Mapping[str, str | None]) -> None:
        """Say what each client gets: arguments of `hyper-shell client`, and the key.

        Its environment is ours, with these variables; None takes one out of it.
        """

    def start(self) -> None:
        """Start the clients; returns at once."""

    def watch(self, ended: Callable[[int], None]) -> None:
        """Call `ended` when the last client has ended, with the worst of their exit statuses.

        It is called from another thread.
        """

    def pause(self, seconds: float) -> set[str]:
        """Have the tasks of all clients stand still: the ids of those that say so in time."""

    def go_on(self, heard_at: float) -> None:
        """Let them run on. The lease of a client that said so counts from this boot time on."""

    def wait(self, seconds: float, stop_seconds: float) -> None:
        """Wait until all have ended; those that still run after `seconds` are stopped.

        Those that do not stop in `stop_seconds` are killed. If `watch` was never called there is no
        server that they could have joined: they are killed at once.
        """

    def hurry(self) -> None:
        """Kill in `wait` what still runs, now. May be called from any thread."""
