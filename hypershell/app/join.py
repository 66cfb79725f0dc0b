"""Joins a server as a client, under a supervisor.

The supervisor's process stays small: what the client needs is imported in the client's own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from hypershell.app.locate import ServerLocation
from hypershell.client.begun_table import SPARE_ENTRIES, BegunTable
from hypershell.client.options import ClientOptions
from hypershell.client.supervisor import Supervisor
from hypershell.core.errors import NoServer

if TYPE_CHECKING:
    from hypershell.client.last_words import LastWords


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

    # Made before the client is: it writes, and the supervisor reads what it left.
    begun = BegunTable(options.client.slots + SPARE_ENTRIES)

    def be_client(supervisor_pipe: int, control: int | None) -> int:
        from hypershell.client.main import run_client

        def run() -> int:
            # Tasks take the client's process with them, from one directory to another.
            rooted = location.rooted()
            find = rooted.worker_address
            client = options.client
            if location.server_dir is not None:
                client = client._replace(server_dir=rooted.server_dir)
            try:
                return run_client(client, find, supervisor_pipe, begun, control)
            except NoServer as error:
                error.note(place=location.place())
                raise

        return explained(run)

    def last_words() -> "LastWords":
        from hypershell.client.last_words import LastWords

        return LastWords(location.worker_address, begun)

    return Supervisor(be_client, last_words, begun).run()
