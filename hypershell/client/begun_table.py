"""Which tasks a client has begun, in memory that its supervisor shares: it outlives the client.

The supervisor makes the table and forks; the client alone writes to it, the supervisor reads it
when the client is dead. Where the memory is a file (`trace_file`), it outlives them both: a server
reads it (`read_trace`) when they were killed together. A client may be killed between any two
instructions, so each change is one aligned store of eight bytes: an entry is written in full while
its state says that it is free, and the state is set last. Nothing here makes a system call once the
table exists, but for `grow`, which few clients ever need, and `belongs_to`.

The words of an entry: its state, a task id, a lease, the process of the task once it is started.
Before the first entry is the header: how many entries were ever used, when the client or its
supervisor last ignored a signal (`doubt_at`), and whose table it is. A word that is made of all
that says so is set last, and cleared before any of it changes.
"""

import binascii
import mmap
import struct
from collections import deque
from collections.abc import Collection
from typing import NamedTuple, Protocol

from hypershell.runtime import procfs

Pair = tuple[int, int]
"""A task id and a lease."""

# Other bytes than these are no table of ours: small numbers would be found anywhere.
_FREE, _BEGUN, _INTERRUPTED = 0, 0x6E75676562, 0x707572726574

_WORDS = 4
_ENTRY_BYTES = 8 * _WORDS

_HEADER_WORDS = 16
_USED, _DOUBT_AT, _SEAL, _OWNER = 0, 1, 2, 3
HEADER_BYTES = 8 * _HEADER_WORDS

_put_pair = struct.Struct("qqq").pack_into
_get_seal_and_owner = struct.Struct("5q").unpack_from

SPARE_ENTRIES = 16_384
"""Beside one for each slot: tasks may end faster than the server takes their outcomes."""

_REMEMBERED = 64
"""Entries of tasks that have ended, which others do not use as long as there is room."""

FIRST_SPARE_ENTRIES = 1024
"""As many of these have memory of their own from the start: enough for nearly every client."""

MAX_BYTES = HEADER_BYTES + _ENTRY_BYTES * (200_000 + SPARE_ENTRIES)
"""More than any table has."""


class Owner(NamedTuple):
    """Whose table it is: the client, and which processes can see it and its tasks.

    `client` is its id as a number; `began` and what is in `place` are as `procfs` has them.
    """

    client: int
    place: procfs.Place
    began: int

    def words(self) -> tuple[int, ...]:
        """As they stand in the header."""
        return (self.client, *self.place, self.began)


class Trace(NamedTuple):
    """What a table says of its client: which tasks had begun and have no accepted outcome.

    `interrupted` are those that ended because the client was told to end. `pids` are the processes
    that were started for either. With `is_starting` there may be one more, which is not known.
    """

    owner: Owner
    begun: list[Pair]
    interrupted: list[Pair]
    pids: frozenset[int]
    is_starting: bool


class Memory(Protocol):
    """Memory that is shared with other processes, of which a part can be written at first."""

    memory: mmap.mmap

    def reserve(self, size: int) -> bool:
        """Whether this many bytes can be written from now on."""

    def remove(self) -> None:
        """Nobody needs it any more when those who have it now have ended."""


def table_bytes(slots: int) -> tuple[int, int]:
    """How large the table of a client may become, and how large it is at first."""
    entries = slots + SPARE_ENTRIES, slots + FIRST_SPARE_ENTRIES
    return HEADER_BYTES + _ENTRY_BYTES * entries[0], HEADER_BYTES + _ENTRY_BYTES * entries[1]


class BegunTable:
    """At most `capacity` tasks, each from just before its start until its outcome is accepted.

    Of several threads one at a time may change it. Memory that no entry ever used costs nothing.
    If memory is given, there is room for `room` tasks at first, and what is beyond is reserved
    when it is needed.
    """

    def __init__(
        self, capacity: int, memory: Memory | None = None, room: int | None = None
    ) -> None:
        self.capacity = capacity
        self._shared = memory
        size = HEADER_BYTES + _ENTRY_BYTES * capacity
        self._memory = mmap.mmap(-1, size) if memory is None else memory.memory
        self._words = memoryview(self._memory).cast("q")
        self._free: deque[int] = deque()
        self._entries: dict[Pair, int] = {}
        self._reserved = capacity if memory is None or room is None else min(room, capacity)
        self.room = self._reserved
        """How many more tasks may begin before one is forgotten, or the table grows."""

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._entries

    def mark(self, task_id: int, lease: int) -> None:
        """This task is about to be started; there must be room."""
        self.room -= 1
        words = self._words
        # What ended last stays to be read: a signal of it may be on its way.
        if len(self._free) > _REMEMBERED or words[_USED] >= self._reserved:
            index = self._free.popleft()
        else:
            index = words[_USED] * _WORDS + _HEADER_WORDS
            words[_USED] += 1
        _put_pair(self._memory, 8 * index + 8, task_id, lease, 0)
        words[index] = _BEGUN
        self._entries[task_id, lease] = index

    def grow(self) -> bool:
        """Whether there is room, as there was none: twice as many tasks, up to the capacity."""
        more = min(2 * self._reserved, self.capacity)
        size = HEADER_BYTES + _ENTRY_BYTES * more
        if self._shared is None or more == self._reserved or not self._shared.reserve(size):
            return False
        self.room += more - self._reserved
        self._reserved = more
        return True

    def started(self, pair: Pair, pid: int) -> None:
        """The process of a task that was marked. Takes no lock; only who marks may call it."""
        if (index := self._entries.get(pair)) is not None:
            self._words[index + 3] = pid

    def interrupted(self, pair: Pair) -> None:
        """This task, if it is here, ended; it counts as INTERRUPTED if nobody hears how."""
        if (index := self._entries.get(pair)) is not None:
            self._words[index] = _INTERRUPTED

    def forget(self, pair: Pair) -> None:
        """The server has the outcome of this task, or it is not ours any more, or never started."""
        if (index := self._entries.pop(pair, None)) is not None:
            self._words[index] = _FREE
            self._free.append(index)
            self.room += 1

    def clear(self) -> None:
        """None of the tasks is ours any more."""
        for pair in list(self._entries):
            self.forget(pair)

    def read(self) -> tuple[list[Pair], list[Pair]]:
        """The tasks that began, and those whose ending counts as INTERRUPTED; of either process."""
        words = self._words
        found: dict[int, list[Pair]] = {_BEGUN: [], _INTERRUPTED: [], _FREE: []}
        for index in self._used():
            found[words[index]].append((words[index + 1], words[index + 2]))
        return found[_BEGUN], found[_INTERRUPTED]

    @property
    def is_empty(self) -> bool:
        """Whether the server has all that began here; of the client alone."""
        return not self._entries

    @property
    def was_used(self) -> bool:
        """Whether any task ever began."""
        return self._words[_USED] > 0

    def task_of(self, pids: Collection[int]) -> int | None:
        """The task, running or just ended, whose process is one of these; of either process.

        A process outside this namespace, of which only 0 is seen, is none of a task.
        """
        words = self._words
        for index in self._used():
            if words[index + 3] and words[index + 3] in pids:
                return words[index + 1]
        return None

    def _used(self) -> range:
        """Where the entries are that were ever used."""
        end = _HEADER_WORDS + self._words[_USED] * _WORDS
        return range(_HEADER_WORDS, end, _WORDS)

    @property
    def doubt_at(self) -> float:
        """The boot time at which a signal was last ignored, of whichever of the two processes."""
        return self._words[_DOUBT_AT] / 1e6

    @doubt_at.setter
    def doubt_at(self, at: float) -> None:
        self._words[_DOUBT_AT] = int(at * 1e6)

    def belongs_to(self, client_id: str) -> None:
        """This process is the client with this id: of any task that is marked from now on.

        Where that cannot be said, no server goes by this table.
        """
        self._words[_SEAL] = 0
        place, began = procfs.own_place(), procfs.began()
        number = client_number(client_id)
        if self._shared is None or place is None or began is None or number is None:
            return
        owner = Owner(number, place, began)
        for index, word in enumerate(owner.words()):
            self._words[_OWNER + index] = word
        self._words[_SEAL] = _seal(owner)

    def remove(self) -> None:
        """The server knows all that is here, or there was nothing to be known."""
        if self._shared is not None:
            self._shared.remove()


def client_number(client_id: str) -> int | None:
    """A client's id as a table has it; None for one that is none."""
    try:
        return int(client_id, 16) if len(client_id) == 8 else None
    except ValueError:
        return None


def read_owner(data: bytes) -> Owner | None:
    """Whose table this is, by its header; None if it says nothing that can be relied on."""
    if len(data) < HEADER_BYTES:
        return None
    seal, client, space, time_space, began = _get_seal_and_owner(data, 8 * _SEAL)
    owner = Owner(client, procfs.Place(space, time_space), began)
    return owner if seal == _seal(owner) else None


def read_trace(data: bytes) -> Trace | None:
    """What a table says that was left behind; None unless all of it can be relied on."""
    owner = read_owner(data)
    if owner is None or len(data) % _ENTRY_BYTES:
        return None
    words = memoryview(data).cast("q")
    end = _HEADER_WORDS + words[_USED] * _WORDS
    if not _HEADER_WORDS <= end <= len(words) or data[8 * end :].strip(b"\0"):
        return None
    found: dict[int, list[Pair]] = {_BEGUN: [], _INTERRUPTED: [], _FREE: []}
    pids: set[int] = set()
    for index in range(_HEADER_WORDS, end, _WORDS):
        state, task_id, lease, pid = words[index : index + _WORDS]
        if state not in found or min(task_id, lease, pid) < 0:
            return None
        found[state].append((task_id, lease))
        if state != _FREE:
            pids.add(pid)
    return Trace(owner, found[_BEGUN], found[_INTERRUPTED], frozenset(pids - {0}), 0 in pids)


def _seal(owner: Owner) -> int:
    """What a header says when the rest of it is whole; never 0."""
    text = "hyper-shell trace 1 " + " ".join(map(str, owner.words()))
    return 1 << 40 | binascii.crc32(text.encode())
