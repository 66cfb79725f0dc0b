"""Joins a server as a client, under a supervisor."""

from collections.abc import Callable
from dataclasses import dataclass

from hypershell.app.locate import ServerLocation
from hypershell.client.main import supervise
from hypershell.client.options import ClientOptions


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """A client, and the server that it joins."""

    client: ClientOptions
    location: ServerLocation


def join(options: JoinOptions, explained: Callable[[Callable[[], int]], int]) -> int:
    """Run a client until its server is done with it; the exit status.

    The client runs in a child process, where `explained` calls it and turns its errors into an
    exit status. It cannot read from a terminal: a passphrase is asked for beforehand.
    """
    location = options.location.with_passphrase()
    return supervise(options.client, location.worker_address, explained)
