"""Standard error, and a log file that is a pipe, which hold up nobody who writes to them.

A reader may stop: a pager that shows its first page, a terminal after Ctrl-S, a line to another
machine that is stuck. Whoever logs something then would wait for it with locks held, and the run
with them. So what the reader does not take at once is kept, within bounds, and a thread of its own
writes it when the reader goes on.
"""

import io
import os
import select
import stat
import sys
from collections import deque
from collections.abc import Callable

from hypershell.core.units import counted
from hypershell.runtime import clock, threads
from hypershell.runtime.signals import end_at_once

MAX_KEPT = 2**20
"""Most bytes that are kept for a reader that does not read."""

LAST_SECONDS = 1.0
"""Seconds that such a reader has at the end of a process that was told to end."""

_PIPE_BYTES = 4096  # PIPE_BUF: a write of so many is whole
_PAUSE_SECONDS = 0.05

_Write = Callable[[bytes], int]


class UnblockedWriter:
    """Writes to a descriptor, which it does not close, without waiting for a reader."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._write_some = _without_waiting(descriptor)
        self._changed = threads.condition("log")
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._thread: threads.Thread | None = None

    def write(self, data: bytes) -> None:
        """Write what the reader takes, keep the rest; OSError if none can be written."""
        with self._changed:
            self._write_kept()
            if not self._kept:
                data = data[self._write_now(data) :]
            elif self._bytes + len(data) > MAX_KEPT:
                self._dropped += 1
                return
            if data:
                self._kept.append(data)
                self._bytes += len(data)
                self._start_thread()

    def finish(self, patient: bool) -> None:
        """Wait until all is written; if not `patient`, for a second.

        A signal ends the patience, and the process.
        """
        if not self._kept:
            return
        if patient:
            end_at_once()
        with self._changed:
            self._start_thread()
            self._changed.wait_for(lambda: not self._kept, None if patient else LAST_SECONDS)

    def _write_kept(self) -> bool:
        """Write what is kept; whether any of it was."""
        has_written = False
        while self._kept:
            first = self._kept[0]
            try:
                written = self._write_now(first)
            except OSError:
                self._forget_all()
                raise
            has_written = has_written or written > 0
            self._bytes -= written
            if written < len(first):
                self._kept[0] = first[written:]
                return has_written
            self._kept.popleft()
            if not self._kept and self._dropped:
                lost, self._dropped = counted(self._dropped, "message"), 0
                notice = f"hyper-shell: {lost} not shown: nobody read them\n".encode()
                self._kept.append(notice)
                self._bytes += len(notice)
        return has_written

    def _write_now(self, data: bytes) -> int:
        written = 0
        try:
            while written < len(data):
                written += self._write_some(data[written : written + _PIPE_BYTES])
        except BlockingIOError:
            pass
        return written

    def _forget_all(self) -> None:
        self._kept.clear()
        self._bytes = self._dropped = 0
        self._changed.notify_all()

    def _start_thread(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        try:
            self._thread = threads.start_thread("log", self._wait_for_reader)
        except RuntimeError:
            self._thread = None  # the next message tries again

    def _wait_for_reader(self) -> None:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        while True:
            poller.poll()
            with self._changed:
                try:
                    has_written = self._write_kept()
                except OSError:
                    has_written = True  # it is gone, and so is what was kept
                if not self._kept:
                    self._thread = None
                    self._changed.notify_all()
                    return
            if not has_written:
                clock.sleep(_PAUSE_SECONDS)  # a terminal may have room for less than a character


def _without_waiting(descriptor: int) -> _Write:
    """How to write to a descriptor at once or not at all, which is BlockingIOError.

    That it must not wait is a property of the open file, which other programs have as well: a pipe
    or a terminal is opened once more.
    """
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)):
        return lambda data: os.write(descriptor, data)
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        if stat.S_ISSOCK(mode):
            import socket

            sock = socket.socket(fileno=os.dup(descriptor))
            return lambda data: sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        again = os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return lambda data: _write_if_ready(descriptor, data)
    return lambda data: os.write(again, data)


def _write_if_ready(descriptor: int, data: bytes) -> int:
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    if not poller.poll(0):
        raise BlockingIOError
    return os.write(descriptor, data)


class _Raw(io.RawIOBase):
    """Bytes on their way to descriptor 2."""

    def __init__(self) -> None:
        self._writer = unblocked(2)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(2)

    def fileno(self) -> int:
        return 2

    def write(self, data: "io.ReadableBuffer", /) -> int:  # type: ignore[name-defined]
        copied = bytes(data)
        self._writer.write(copied)
        return len(copied)


class _StandardError(io.TextIOWrapper):
    """Text for standard error, each `write` of which is one message."""

    def __init__(self) -> None:
        before = sys.stderr
        super().__init__(
            _Raw(),  # type: ignore[arg-type]
            encoding=getattr(before, "encoding", None) or "utf-8",
            errors="backslashreplace",
            write_through=True,
        )


_writers: list[UnblockedWriter] = []


def unblocked(descriptor: int) -> UnblockedWriter:
    """A writer to a descriptor, which the end of this process waits for."""
    writer = UnblockedWriter(descriptor)
    _writers.append(writer)
    return writer


def watch_stderr() -> None:
    """From now on, who writes to standard error does not wait for its reader."""
    if sys.stderr is not None and sys.stderr is sys.__stderr__:
        sys.stderr = _StandardError()


def finish_messages(patient: bool) -> None:
    """Wait until all that was said is read; if not `patient`, for a second."""
    for writer in _writers:
        writer.finish(patient)
