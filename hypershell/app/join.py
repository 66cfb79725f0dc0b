"""Joins a server as a client, under a supervisor.

The supervisor's process stays small: what the client needs is imported in the client's own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from hypershell.app.locate import Finder, ServerLocation
from hypershell.client.client_process import SystemClientProcess
from hypershell.client.options import ClientOptions
from hypershell.client.supervisor import Supervisor
from hypershell.client.trace_file import make_table
from hypershell.core.errors import KeyRefused, NoServer
from hypershell.runtime import clock

if TYPE_CHECKING:
    from hypershell.app.ended_runs import EndedRuns
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
    find = Finder(location)

    # Made before the client is: it writes, and the supervisor reads what it left.
    begun = make_table(options.client.most_tasks)

    def be_client(supervisor_pipe: int, control: int | None) -> int:
        from hypershell.client.main import run_client

        def run() -> int:
            # Tasks take the client's process with them, from one directory to another.
            rooted = find.root()
            client = options.client
            if location.server_dir is not None:
                client = client._replace(server_dir=rooted.server_dir)
            try:
                was_there = _was_there(rooted, find, options)
                return run_client(client, find, supervisor_pipe, begun, control, was_there)
            except (NoServer, KeyRefused) as error:
                error.note(place=location.place(), remark=location.remark())
                raise

        return explained(run)

    def last_words() -> "LastWords":
        from hypershell.client.last_words import LastWords

        return LastWords(find, begun)

    return Supervisor(be_client, last_words, begun, SystemClientProcess()).run()


def _was_there(
    rooted: ServerLocation, find: Finder, options: JoinOptions
) -> Callable[[bool], bool]:
    """See `EndedRuns.was_there`; a client that hears of the end of its server never asks for it."""
    started, made = clock.wall(), list["EndedRuns"]()

    def was_there(is_last: bool) -> bool:
        from hypershell.app.ended_runs import EndedRuns

        if not made:
            made.append(EndedRuns(rooted, started - options.client.wait, lambda: find.home))
        return made[0].was_there(is_last)

    return was_there
