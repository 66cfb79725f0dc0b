"""The server where it was found last, and the calls by which it comes to know a client.

`server_link` decides when to join, and lets one thread at a time do it; the proxy found here is
that of all threads until it is found again. No lock is taken here.
"""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from hypershell.core.resources import NOTHING, Offer
from hypershell.runtime import clock
from hypershell.wire.worker_messages import Hello, Welcome
from hypershell.wire.worker_plane import Earned, WorkerProxy

Find = Callable[[], tuple[str, int, bytes]]
"""Tells host, port and secret of the server's worker plane; NoServer while that is not known."""


class Joined(NamedTuple):
    """How a server took a client in, and the boot time at which the lease began."""

    welcome: Welcome
    heard_at: float


class FoundServer:
    """A server that is looked for each time it is joined: one that was restarted may have moved.

    It is told how long this client works yet, if that is until the boot time `works_until`.
    """

    def __init__(self, find: Find, works_until: float = math.inf) -> None:
        self._find = find
        self._works_until = works_until
        self.host, self.port = "", 0
        self.proxy: WorkerProxy
        """What calls go to; there is none before it was found for the first time."""

    def join(self, hello: Hello, seconds: float, patience: float | None = None) -> Joined:
        """Find it and join it by a new connection; raises what `find` and `WorkerProxy` raise.

        The answer may take `seconds`, and its first word `patience`, if that is more than usual.
        """
        self.host, self.port, secret = self._find()
        self.proxy = WorkerProxy(self.host, self.port, secret)
        self.proxy.hang_up()  # this thread may have one to a server that is gone
        self.proxy.patience = patience
        sent = clock.boottime()
        left = max(0.0, self._works_until - sent)
        hello = replace(hello, offer=hello.offer._replace(seconds=left))
        welcome = self.proxy.join(hello, seconds)
        self.proxy.patience = None
        # It may have stood still, and answer when the lease from then on is over already: it is
        # asked again whether it knows this client.
        nothing = Earned(welcome.client_id, welcome.secret, ())
        while clock.boottime() - sent > welcome.call_seconds:
            _, sent = self.hand_in(welcome, nothing)
        return Joined(welcome, sent)

    def hand_in(self, welcome: Welcome, earned: Earned) -> tuple[int, float]:
        """Give what was earned under a former id: how many were taken, and when it was sent.

        EOFError if the server does not know the client any more.
        """
        sent = clock.boottime()
        taken = self.proxy.hand_in(welcome, earned)
        if taken is None:
            raise EOFError("it no longer knows this client")
        return taken, sent


def greeting(host: str, slots: int, offer: Offer = NOTHING) -> Hello:
    """How this process introduces itself."""
    return Hello(host.encode("ascii", "replace").decode(), os.getpid(), slots, offer=offer)
