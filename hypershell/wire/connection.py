"""One connection: frames over a socket, TLS or not, each operation under a total deadline.

It has the methods that `multiprocessing.managers` and its challenge expect of a connection. The
socket never blocks: waiting is done here, so that a peer that drips a byte at a time cannot
stretch a deadline, and `abort` from another thread ends any wait.
"""

import contextlib
import mmap
import select
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import Any

from hypershell.runtime import clock
from hypershell.wire.codec import WireError, decode, encode
from hypershell.wire.frames import SHORT, FrameBudget, check_shape, frame_seconds

SMALL_FRAME = 512
"""Bytes a peer may send in one frame before it is authenticated."""

LARGE_FRAME = 64 * 2**20
"""Bytes in one frame afterwards; senders split tasks and outcomes to stay below this."""

WORKER_FRAME = 16 * 2**20
"""The same for what a client sends, whose outcomes take 11 MiB at most."""

_LENGTH = struct.Struct("!I")
_CHUNK = 64 * 1024


class DeadlinePassed(TimeoutError):
    """The peer did not do its part in time."""


class Connection:
    """Frames over one socket. Not to be used by two threads at once, but for `abort`."""

    def __init__(self, sock: socket.socket, peer: str = "") -> None:
        sock.setblocking(False)
        self.peer = peer
        """The address of the other end, if it matters."""
        self._sock = sock
        self._buffer = bytearray()
        self._deadline: float | None = None
        self._frame_limit = SMALL_FRAME
        self._budget: FrameBudget | None = None

    def set_timeout(self, seconds: float | None) -> None:
        """Give all that follows this many seconds in total; None waits forever."""
        self._deadline = None if seconds is None else clock.monotonic() + seconds

    def trust(self, frame_limit: int = LARGE_FRAME, budget: FrameBudget | None = None) -> None:
        """The peer is authenticated: it may send frames of up to this many bytes.

        With a `budget` it is trusted no further: its long frames count there, and are looked at
        before they are decoded.
        """
        self._frame_limit = frame_limit
        self._budget = budget

    def start_tls(self, context: ssl.SSLContext, server_side: bool) -> None:
        """Go over to TLS; raises ssl.SSLError if either side refuses the other."""
        secured = context.wrap_socket(
            self._sock, server_side=server_side, do_handshake_on_connect=False
        )
        self._sock = secured
        self._retry(secured.do_handshake)

    # What multiprocessing.managers and the challenge functions call.

    def send(self, value: Any) -> None:
        """Send a value of the closed set of types."""
        self.send_bytes(encode(value))

    def recv(self) -> Any:
        """Return the next value; EOFError when the peer is gone."""
        length = self._read_frame(self._frame_limit)
        if self._budget is not None and length > SHORT:
            return self._receive_long(length, self._budget)
        return decode(self._cut(length))

    def send_bytes(self, payload: bytes) -> None:
        """Send one frame."""
        if len(payload) > LARGE_FRAME:
            raise WireError(f"a frame of {len(payload)} bytes is over the limit")
        self.send_raw(_LENGTH.pack(len(payload)) + payload)

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Return the next frame; WireError before reading one that is longer than allowed."""
        limit = self._frame_limit if maxlength is None else min(maxlength, self._frame_limit)
        return self._cut(self._read_frame(limit))

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether something can be read within this many seconds."""
        if self._buffer or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
            return True
        return bool(_wait(self._sock, select.POLLIN, timeout))

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket; closing twice is harmless."""
        self._sock.close()

    def abort(self) -> None:
        """End any wait of another thread on this connection, which then sees it broken."""
        try:
            # Not SSLSocket.shutdown: that one throws away TLS state the other thread is using.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            pass

    # Raw bytes, for the preamble that goes before the first frame.

    def send_raw(self, data: bytes) -> None:
        """Send all these bytes as they are."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._retry(self._sock.send, rest) :]

    def recv_line(self, limit: int) -> bytes:
        """Return the bytes up to a newline, without it; WireError if it does not come in time."""
        while (end := self._buffer.find(b"\n", 0, limit)) < 0:
            if len(self._buffer) >= limit:
                raise WireError("no line where one was expected")
            self._fill(limit)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _read_frame(self, limit: int) -> int:
        """Have the next frame in the buffer, without its header; how many bytes it has.

        Of a long one on a budget only what came with its header is there.
        """
        buffer = self._buffer
        if not buffer:
            self._fill(_CHUNK)
        if len(buffer) >= _LENGTH.size:
            length: int = _LENGTH.unpack_from(buffer)[0]
            if length <= limit and len(buffer) >= length + _LENGTH.size:  # as most are
                del buffer[: _LENGTH.size]
                return length
        with self._hurried(_LENGTH.size):
            self._have(_LENGTH.size)
        length = _LENGTH.unpack_from(buffer)[0]
        if length > limit:
            raise WireError(f"a frame of {length} bytes where at most {limit} are allowed")
        del buffer[: _LENGTH.size]
        if self._budget is None or length <= SHORT:
            with self._hurried(length):
                self._have(length)
        return length

    @contextlib.contextmanager
    def _hurried(self, length: int) -> Iterator[None]:
        """A frame of this many bytes has begun: the peer must go on with it."""
        asked, due = self._deadline, clock.monotonic() + frame_seconds(length)
        self._deadline = due if asked is None else min(asked, due)
        try:
            yield
        finally:
            self._deadline = asked

    def _receive_long(self, length: int, budget: FrameBudget) -> Any:
        """The value of a long frame. Its bytes are in memory of their own, which is given back."""
        budget.begin(self, length)
        try:
            with mmap.mmap(-1, length) as memory, memoryview(memory) as frame:
                with self._hurried(length):
                    self._fill_area(frame)
                budget.end(self)
                check_shape(frame)
                return decode(frame)
        finally:
            budget.end(self)

    def _fill_area(self, area: memoryview) -> None:
        have = min(len(self._buffer), len(area))
        area[:have] = self._buffer[:have]
        del self._buffer[:have]
        while have < len(area):
            with area[have:] as rest:
                number = self._retry(self._sock.recv_into, rest)
            if not number:
                raise EOFError("the peer closed the connection")
            have += number

    def _have(self, count: int) -> None:
        while len(self._buffer) < count:
            self._fill(_CHUNK)

    def _cut(self, count: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    def _fill(self, most: int) -> None:
        data = self._retry(self._sock.recv, most)
        if not data:
            raise EOFError("the peer closed the connection")
        self._buffer += data

    def _retry(self, operation: Any, *args: Any) -> Any:
        """Do one socket operation, waiting until it can be done or the deadline passes."""
        while True:
            try:
                return operation(*args)
            except (ssl.SSLWantReadError, BlockingIOError) as error:
                writing = isinstance(error, BlockingIOError) and operation == self._sock.send
                event = select.POLLOUT if writing else select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            remaining = None
            if self._deadline is not None:
                remaining = self._deadline - clock.monotonic()
                if remaining <= 0:
                    raise DeadlinePassed("the peer did not answer in time")
            _wait(self._sock, event, remaining)


def _wait(sock: socket.socket, event: int, timeout: float | None) -> list[tuple[int, int]]:
    poller = select.poll()
    poller.register(sock, event)
    return poller.poll(clock.poll_milliseconds(timeout))
