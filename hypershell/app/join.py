"""Joins a server as a client, under a supervisor.

The supervisor's process stays small: what the client needs is imported in the client's own.
"""

from collections.abc import Callable
from typing import NamedTuple

from hypershell.app.locate import ServerLocation
from hypershell.client.options import ClientOptions
from hypershell.client.supervisor import Supervisor
from hypershell.core.errors import NoServer


class JoinOptions(NamedTuple):
    """A client, and the server that it joins."""

    client: ClientOptions
    location: ServerLocation


def join(options: JoinOptions, explained: Callable[[Callable[[], int]], int]) -> int:
    """Run a client until its server is done with it; the exit status, in both processes.

    The client runs in a child process, where `explained` calls it and turns an error into an exit
    status. It cannot read from a terminal: a passphrase is asked for beforehand.
    """
    location = options.location.with_passphrase()

    def be_client(supervisor_pipe: int) -> int:
        from hypershell.client.main import run_client

        def run() -> int:
            try:
                return run_client(options.client, location.worker_address, supervisor_pipe)
            except NoServer as error:
                error.note(place=location.place())
                raise

        return explained(run)

    def leave(client_id: str, reason: str) -> None:
        from hypershell.client.main import take_leave

        take_leave(location.worker_address, client_id, reason)

    return Supervisor(be_client, leave).run()
