"""What a frame of a client may cost the server, beyond its bytes.

Bytes alone bound nothing: 16 MiB of empty lists are more than a gigabyte of objects, and a frame
whose last byte never comes keeps all others. So a long frame is walked before anything is made of
it (`check_shape`), every frame that was begun has a deadline, and the long ones that are under way
share a budget, which the one that was begun first has to leave.
"""

import struct
from collections.abc import Hashable
from typing import Protocol

from hypershell.runtime import threads
from hypershell.wire.codec import WireError

SHORT = 64 * 1024
"""Bytes up to which a frame is decoded as it is: it makes 5 MB of objects at most."""

MAX_ELEMENTS = 200_000
"""Values in one frame, those in lists and dicts included: a batch of 5,000 outcomes has 75,000."""

MAX_DEPTH = 8

BUDGET_BYTES = 128 * 2**20
"""Bytes of long frames under way on one plane, all connections together."""

_BEGIN_SECONDS = 15.0
_SLOWEST = 128 * 1024
"""Bytes a second that a peer must send, once it has begun a frame."""

_FIXED = [0] * 256  # bytes of a value by its first byte; 0: it says itself
_PREFIX: dict[int, tuple[struct.Struct, int]] = {}  # of a value that says it: its length
_LISTS: dict[int, struct.Struct] = {0xDC: struct.Struct("!H"), 0xDD: struct.Struct("!I")}
_DICTS: dict[int, struct.Struct] = {0xDE: struct.Struct("!H"), 0xDF: struct.Struct("!I")}

for _first in (*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3):
    _FIXED[_first] = 1
for _first in range(0xA0, 0xC0):
    _FIXED[_first] = 1 + (_first & 0x1F)
for _first, _size in ((0xCA, 5), (0xCB, 9), (0xCC, 2), (0xCD, 3), (0xCE, 5), (0xCF, 9)):
    _FIXED[_first] = _size
for _first, _size in ((0xD0, 2), (0xD1, 3), (0xD2, 5), (0xD3, 9)):
    _FIXED[_first] = _size
for _first, _format in ((0xC4, "!B"), (0xC5, "!H"), (0xC6, "!I")):  # bytes
    _PREFIX[_first] = struct.Struct(_format), 1 + struct.calcsize(_format)
for _first, _format in ((0xD9, "!B"), (0xDA, "!H"), (0xDB, "!I")):  # str
    _PREFIX[_first] = struct.Struct(_format), 1 + struct.calcsize(_format)


def frame_seconds(length: int) -> float:
    """How long a frame of this many bytes may take, once its first byte has come."""
    return _BEGIN_SECONDS + length / _SLOWEST


def check_shape(data: bytes | bytearray | memoryview) -> None:
    """Walk over one msgpack value without making anything of it.

    WireError if it has too many elements, is nested too deeply, has a tag, which no client sends,
    or does not end where the data ends.
    """
    try:
        end = _walk(data)
    except (IndexError, struct.error) as error:
        raise WireError("a value that does not end") from error
    if end != len(data):
        raise WireError("something after a value, or less than it says")


def _walk(data: bytes | bytearray | memoryview) -> int:
    """Where the value ends that begins at the first byte."""
    fixed, prefix = _FIXED, _PREFIX
    outer: list[int] = []  # values still to come in each list around this one
    at = 0
    left = 1
    budget = MAX_ELEMENTS
    while True:
        while left:
            left -= 1
            first = data[at]
            if size := fixed[first]:
                at += size
            elif found := prefix.get(first):
                length, header = found
                at += header + length.unpack_from(data, at + 1)[0]
            else:
                count, header = _contents(data, at, first)
                at += header
                budget -= count
                if budget < 0:
                    raise WireError(f"more than {MAX_ELEMENTS} values in one frame")
                if len(outer) >= MAX_DEPTH:
                    raise WireError(f"values nested more than {MAX_DEPTH} deep")
                outer.append(left)
                left = count
        if not outer:
            return at
        left = outer.pop()


def _contents(data: bytes | bytearray | memoryview, at: int, first: int) -> tuple[int, int]:
    """How many values a list or dict has, and the bytes before them."""
    if 0x90 <= first <= 0x9F:
        return first & 0x0F, 1
    if 0x80 <= first <= 0x8F:
        return 2 * (first & 0x0F), 1
    if (length := _LISTS.get(first)) is not None:
        return length.unpack_from(data, at + 1)[0], 1 + length.size
    if (length := _DICTS.get(first)) is not None:
        return 2 * length.unpack_from(data, at + 1)[0], 1 + length.size
    raise WireError(f"a value of a kind that no client sends (0x{first:02x})")


class Abortable(Hashable, Protocol):
    """A connection, which is told to end."""

    def abort(self) -> None:
        """End any wait on it."""


class FrameBudget:
    """The long frames that are under way on all connections of a plane.

    Where they announce more bytes than `most_bytes` together, the one that was begun first is
    given up, with its connection: an honest one is over by then.
    """

    def __init__(self, most_bytes: int = BUDGET_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threads.lock("frame budget")
        self._under_way: dict[Abortable, int] = {}  # in the order in which they were begun
        self._bytes = 0

    def begin(self, connection: Abortable, length: int) -> None:
        """A frame of this many bytes begins on a connection."""
        with self._lock:
            self._under_way[connection] = length
            self._bytes += length
            while self._bytes > self._most_bytes and len(self._under_way) > 1:
                oldest = next(iter(self._under_way))
                self._bytes -= self._under_way.pop(oldest)
                oldest.abort()

    def end(self, connection: Abortable) -> None:
        """It is over, or was given up."""
        with self._lock:
            self._bytes -= self._under_way.pop(connection, 0)
