"""The line between a client and the launcher that started it: when to pause, and when to go on.

The launcher's process is its server's too. Before that is stopped, by Ctrl-Z, it sends `pause`; the
client answers `paused ID` when nothing of its tasks runs any more, and calls nobody. Afterwards
comes `go-on TIME`: the server counts this client's lease from that boot time on. A client whose
answer came too late is sent `go-on` alone, as its lease went on.
"""

import socket
from collections.abc import Callable
from contextlib import suppress

from hypershell.client.events import ClientEvent, PauseAsked, PauseOver
from hypershell.runtime import threads


class LauncherChannel:
    """The client's end; without a descriptor nothing ever comes."""

    def __init__(self, descriptor: int | None) -> None:
        self._socket = None if descriptor is None else socket.socket(fileno=descriptor)

    @property
    def exists(self) -> bool:
        """Whether there is a launcher at the other end."""
        return self._socket is not None

    def listen(self, tell: Callable[[ClientEvent], None]) -> None:
        """Call `tell`, in a thread of its own, with what the launcher says."""
        if self._socket is not None:
            threads.start_thread("launcher channel", lambda: self.receive(tell))

    def receive(self, tell: Callable[[ClientEvent], None]) -> None:
        """Call `tell` with what the launcher says, until it is gone."""
        if self._socket is None:
            return
        # A launcher that is killed before it has read what we said resets the connection.
        with suppress(OSError), self._socket.makefile() as lines:
            for line in lines:
                match line.split():
                    case ["pause"]:
                        tell(PauseAsked(by_launcher=True))
                    case ["go-on"]:
                        tell(PauseOver(None))
                    case ["go-on", heard_at]:
                        tell(PauseOver(float(heard_at)))

    def paused(self, client_id: str) -> None:
        """Say that nothing of the tasks runs any more."""
        if self._socket is not None:
            with suppress(OSError):  # it is gone, which is heard of otherwise
                self._socket.sendall(f"paused {client_id}\n".encode())
