"""What a client says to its supervisor, a line each, through a pipe."""

import os

from hypershell.wire.worker_messages import Welcome


class SupervisorPipe:
    """Messages: the client joined, was heard by the server, paused, resumed, stopped its tasks, or
    left.

    None is waited for.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_blocking(descriptor, False)
        self._last = 0.0

    def joined(self, welcome: Welcome, heard_at: float) -> None:
        """The client has an identity now, and a lease."""
        lease, grace = welcome.lease_seconds, welcome.grace_seconds
        self._say(f"joined {welcome.client_id} {welcome.session} {lease} {grace} {heard_at}")

    def heard(self, at: float, lease_seconds: float) -> None:
        """The server heard the client at this boot time (`clock.boottime`)."""
        if at - self._last > lease_seconds / 20:
            self._last = at
            self._say(f"heard {at}")

    def stopped(self, heard_at: float) -> None:
        """Nothing runs here any more, as the lease that counts from `heard_at` is over."""
        self._say(f"stopped {heard_at}")

    def paused(self) -> None:
        """The tasks of the client stand still; it needs no watching until they run on."""
        self._say("paused")

    def resumed(self, heard_at: float) -> None:
        """They run on; the lease is as if the server had heard the client at this boot time."""
        self._say(f"resumed {heard_at}")

    def left(self, *, known: bool) -> None:
        """The server needs to hear nothing more of this client; whether it knows that it left."""
        self._say("left known" if known else "left")

    def unheard(self) -> bool:
        """Whether the supervisor has gone."""
        self._say("")
        return self._descriptor is None

    def _say(self, line: str) -> None:
        if self._descriptor is not None:
            try:
                os.write(self._descriptor, line.encode() + b"\n")
            except BlockingIOError:
                pass  # it is stopped, and what it has not read says enough
            except OSError:
                self._descriptor = None  # the supervisor has gone, which we learn by a signal
