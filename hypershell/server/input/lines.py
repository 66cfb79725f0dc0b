"""Reads records as bytes from a file or a pipe, as they come, and stops at one that cannot run.

A record is a line, unless the form of the input says otherwise. What Windows adds to text is not
part of a line: carriage returns before its end, and a byte order mark at its start, as lists are
also put together of several. Each line is looked at alone, since a list may have both kinds of line
ends. A carriage return inside a line stays.
"""

import logging
import os
import select
import stat
from collections.abc import Callable

from hypershell.core.errors import (
    InputDamaged,
    InputMissing,
    InputUnreadable,
    StartError,
    system_reason,
)
from hypershell.core.task import MAX_LINE
from hypershell.runtime import clock
from hypershell.server.input.forms import TaskMaker

log = logging.getLogger(__name__)

_CHUNK = 64 * 1024

_MARK = b"\xef\xbb\xbf"
_LINE_ENDS = "Windows line ends (CR LF)"
_BYTE_ORDER_MARK = "a byte order mark"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

STDIN = "-"


def open_input(path: str) -> int:
    """Open a file of lines, `-` for standard input, and return a descriptor of our own.

    Raises InputMissing or InputUnreadable.
    """
    try:
        if path == STDIN:
            return os.dup(0)
        # A named pipe without a writer must not keep the open waiting beyond a signal.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InputMissing(path=path) from error
    except (OSError, ValueError) as error:
        raise InputUnreadable(path=path, reason=system_reason(error)) from error
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputUnreadable(path=path, reason="it is a directory")
    return descriptor


class LineReader:
    """Lines from a descriptor, with their numbers; each read waits no longer than its timeout.

    `wake` ends a wait from any other thread. `say` is told once what was taken off lines, unless
    they are to be left `as_they_are`. The `maker` makes tasks of them.
    """

    def __init__(
        self,
        descriptor: int,
        path: str,
        say: Callable[[str], None] = log.warning,
        maker: TaskMaker | None = None,
        as_they_are: bool = False,
    ) -> None:
        self.maker = maker or TaskMaker()
        self._form = self.maker.form
        self._wants_header = self._form.has_header
        self._is_cleaned = not as_they_are and self._form.separator == b"\n"
        self._open = bytearray()  # the beginning of a record that goes on behind its separator
        self._descriptor = descriptor
        self._path = "standard input" if path == STDIN else path
        self._rest = bytearray()
        self._number = 0
        self._say = say
        self._taken_off: set[str] = set()
        self._may_be_odd = False  # what is read may have something to be taken off
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._poller = select.poll()
        self._poller.register(descriptor, select.POLLIN)
        self._poller.register(self._wake_read, select.POLLIN)
        self._unread: list[tuple[int, bytes]] = []  # read before, and not asked for yet
        self.path = path
        self.error: StartError | None = None
        self.ended = False

    @property
    def lines_read(self) -> int:
        """How many lines were read so far, tasks or not."""
        return self._number - len(self._unread)

    @property
    def fingerprint(self) -> bytes:
        """See RecordReader."""
        return self.maker.fingerprint

    def read(self, timeout: float | None) -> list[tuple[int, bytes]]:
        """Return lines that are there, waiting for the first of them up to `timeout` seconds.

        At the end of the input `ended` is set, with `error` if it could not be read to its end.
        """
        if self._unread:
            lines, self._unread = self._unread, []
            return lines
        events = dict(self._poller.poll(clock.poll_milliseconds(timeout)))
        if self._wake_read in events:
            os.read(self._wake_read, 4096)
        if self._descriptor not in events:
            return []
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except OSError as error:
            self.ended = True
            self.error = InputUnreadable(path=self._path, reason=system_reason(error))
            return []
        return self._split(chunk)

    def skip(self, number: int, each: Callable[[bytes], None]) -> bool:
        """Skip this many lines, passing each to `each`; False if there are fewer."""
        skipped = 0
        while skipped < number:
            if self.ended:
                return False
            lines = self.read(None)
            for _, line in lines[: number - skipped]:
                each(line)
            self._unread = lines[number - skipped :]
            skipped += len(lines) - len(self._unread)
        return True

    def is_ready(self) -> bool:
        """Whether a read would return at once."""
        return bool(self._unread or self._poller.poll(0))

    def refuse(self, number: int, reason: str) -> None:
        """A line cannot be a task: the input ends here."""
        self.ended = True
        self.error = InputDamaged(path=self._path, number=number, reason=reason)

    def wake(self) -> None:
        """End the wait of a read that is under way."""
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            pass  # it is awake already

    def close(self) -> None:
        """Close the descriptor."""
        for descriptor in (self._descriptor, self._wake_read, self._wake_write):
            os.close(descriptor)

    def _split(self, chunk: bytes) -> list[tuple[int, bytes]]:
        separator = self._form.separator
        if not chunk:
            self.ended = True
            pieces = [bytes(self._rest)] if self._rest else []
            self._rest.clear()
        elif separator not in chunk:
            self._rest += chunk
            pieces = []
        else:
            *pieces, tail = chunk.split(separator)
            if self._rest:
                pieces[0] = bytes(self._rest) + pieces[0]
            self._rest = bytearray(tail)
        if self._is_cleaned and (self._may_be_odd or b"\r" in chunk or _MARK[:1] in chunk):
            pieces = [self._cleaned(piece) for piece in pieces]
            self._may_be_odd = bool(self._rest)
        if self._form.may_continue:
            pieces = self._joined(pieces)
        if self._wants_header and pieces:
            self._wants_header = False
            if not self._is_header(pieces.pop(0)):
                return []
        lines: list[tuple[int, bytes]] = []
        for piece in pieces:
            self._number += 1
            if not self._fits(piece):
                return lines
            lines.append((self._number, piece))
        if len(self._rest) + len(self._open) > MAX_LINE:
            self._number += 1
            self._fits(self._rest + self._open)
        elif self.ended and self._open:
            self.refuse(self._number + 1, "its double quotes are not closed")
        return lines

    def _joined(self, pieces: list[bytes]) -> list[bytes]:
        """The records that these pieces are of: one goes on while its double quotes are open."""
        records = []
        for piece in pieces:
            is_inside = bool(self._open) ^ (piece.count(b'"') % 2 == 1)
            if self._open or is_inside:
                self._open += piece
            if is_inside:
                self._open += self._form.separator
            else:
                records.append(bytes(self._open) or piece)
                self._open.clear()
        return records

    def _is_header(self, record: bytes) -> bool:
        """Take the names of the values; if they cannot be, the input ends here."""
        try:
            self.maker.take_header(record)
        except ValueError as error:
            self.refuse(self._number, str(error))
            return False
        return True

    def _cleaned(self, line: bytes) -> bytes:
        """A line without what Windows adds to it."""
        found = []
        if line.startswith(_MARK):
            line = line[len(_MARK) :]
            found.append(_BYTE_ORDER_MARK)
        if line.endswith(b"\r"):
            line = line.rstrip(b"\r")
            found.append(_LINE_ENDS)
        if not self._taken_off.issuperset(found):
            self._taken_off.update(found)
            self._say(f"ignoring {' and '.join(found)} in {self._path}")
        return line

    def _fits(self, line: bytes | bytearray) -> bool:
        """Whether a line can be a command; if not, the input ends here."""
        if b"\0" in line:
            is_utf_16 = self._number == 1 and line[:2] in _UTF_16
            reason = "it is UTF-16, not UTF-8" if is_utf_16 else "it contains a NUL byte"
        elif len(line) > MAX_LINE:
            reason = f"it is longer than {MAX_LINE} bytes"
        else:
            return True
        self.refuse(self._number, reason)
        return False
