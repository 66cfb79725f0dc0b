"""A small TCP relay between clients and a server, that can cut, stall and heal."""

import contextlib
import select
import socket
import threading
import time

from tests.helpers.waiting import until

_CHUNK = 64 * 1024


class Relay:
    """Listens on a free port of loopback and passes bytes on to another port.

    `stall` lets nothing through and tells nobody; `cut` breaks the connections there are; `desert`
    breaks them towards clients alone, and leaves the server to believe in them; `refuse` cuts and
    turns new ones away; `heal` is the end of either. Each way takes `delay` seconds.
    """

    def __init__(self, port: int, delay: float = 0.0) -> None:
        self._delay = delay
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._near: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._refusing = False
        self._closed = False
        self._deserting = False
        self._deserted: list[socket.socket] = []
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True, name="relay").start()

    def stall(self) -> None:
        """Hold back all that is sent either way; connections stay, new ones hang."""
        self._flowing.clear()

    def lead_to(self, port: int) -> None:
        """Pass new connections on to this port from now on."""
        self._target = ("127.0.0.1", port)

    def heal(self) -> None:
        """Let everything through, what was held back first."""
        self._refusing = False
        self._flowing.set()

    def cut(self) -> None:
        """Break all connections that there are."""
        with self._lock:
            for sock in self._sockets if not self._deserting else self._near:
                _hang_up(sock)

    def desert(self) -> None:
        """Break all connections towards clients; their other ends stay, and hear nothing more."""
        self._deserting = True
        self.cut()
        until(lambda: not self._sockets, 5, "no connection is left")
        self._deserting = False

    def refuse(self) -> None:
        """Break all connections, and any new one at once."""
        self._refusing = True
        self.cut()

    def close(self) -> None:
        """End all threads."""
        self._closed = True
        _hang_up(self._listener)
        self._listener.close()
        self.cut()
        for sock in self._deserted:
            sock.close()
        self._flowing.set()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self._refusing:
                near.close()
                continue
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets |= {near, far}
            self._near.add(near)
        with contextlib.suppress(OSError):
            self._pump({near: far, far: near})
        near.close()
        if self._deserting:
            self._deserted.append(far)
        else:
            far.close()
        with self._lock:
            self._sockets -= {near, far}
            self._near.discard(near)

    def _pump(self, other: dict[socket.socket, socket.socket]) -> None:
        while True:
            readable, _, _ = select.select(list(other), [], [])
            self._flowing.wait()
            for sock in readable:
                data = sock.recv(_CHUNK)
                if not data:
                    return
                time.sleep(self._delay)  # the way itself: it is what the test is about
                other[sock].sendall(data)


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
