"""Which tasks a client has begun, in memory that its supervisor shares: it outlives the client.

The supervisor makes the table and forks; the client alone writes to it, the supervisor reads it
when the client is dead. A client may be killed between any two instructions, so each change is one
aligned store of eight bytes: an entry is written in full while its state says that it is free, and
the state is set last. Nothing here makes a system call once the table exists.

The words of an entry: its state, a task id, a lease, the process of the task once it is started.
Before the first entry there is one of the same size, the header: how many entries were ever used,
and when the client or its supervisor last ignored a signal (`doubt_at`).
"""

import mmap
import struct
from collections.abc import Collection

Pair = tuple[int, int]
"""A task id and a lease."""

_FREE, _BEGUN, _INTERRUPTED = 0, 1, 2

_WORDS = 4
_ENTRY_BYTES = 8 * _WORDS

_put_pair = struct.Struct("qqq").pack_into

SPARE_ENTRIES = 16_384
"""Beside one for each slot: tasks may end faster than the server takes their outcomes."""


class BegunTable:
    """At most `capacity` tasks, each from just before its start until its outcome is accepted.

    Of several threads one at a time may change it. Memory that no entry ever used costs nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._memory = mmap.mmap(-1, _ENTRY_BYTES * (capacity + 1))
        self._words = memoryview(self._memory).cast("q")
        self._free: list[int] = []
        self._entries: dict[Pair, int] = {}

    @property
    def is_full(self) -> bool:
        """Whether no task may begin until another is forgotten."""
        return not self._free and self._words[0] >= self.capacity

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._entries

    def mark(self, task_id: int, lease: int) -> None:
        """This task is about to be started; the table must not be full."""
        words = self._words
        if self._free:
            index = self._free.pop()
        else:
            words[0] += 1
            index = words[0] * _WORDS
        _put_pair(self._memory, 8 * index + 8, task_id, lease, 0)
        words[index] = _BEGUN
        self._entries[task_id, lease] = index

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

    def clear(self) -> None:
        """None of the tasks is ours any more."""
        for pair in list(self._entries):
            self.forget(pair)

    def read(self) -> tuple[list[Pair], list[Pair]]:
        """The tasks that began, and those whose ending counts as INTERRUPTED; of either process."""
        words = self._words
        found: dict[int, list[Pair]] = {_BEGUN: [], _INTERRUPTED: [], _FREE: []}
        for index in range(_WORDS, (words[0] + 1) * _WORDS, _WORDS):
            found[words[index]].append((words[index + 1], words[index + 2]))
        return found[_BEGUN], found[_INTERRUPTED]

    @property
    def was_used(self) -> bool:
        """Whether any task ever began."""
        return self._words[0] > 0

    def task_of(self, pids: Collection[int]) -> int | None:
        """The task, running or just ended, whose process is one of these; of either process."""
        words = self._words
        for index in range(_WORDS, (words[0] + 1) * _WORDS, _WORDS):
            if words[index + 3] in pids:
                return words[index + 1]
        return None

    @property
    def doubt_at(self) -> float:
        """The boot time at which a signal was last ignored, of whichever of the two processes."""
        return self._words[1] / 1e6

    @doubt_at.setter
    def doubt_at(self, at: float) -> None:
        self._words[1] = int(at * 1e6)
