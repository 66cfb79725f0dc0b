"""Regular expressions of other people, which must not hold up whoever looks for them.

Python's own search holds the interpreter until it is done, and some patterns are never done. Here
it searches what is sure to take a moment; for the rest it is asked of a process of its own, which
an alarm ends. What all searches for one pattern may take together is bounded too.
"""

import atexit
import re
import struct
import sys
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

SEARCH_SECONDS = 2.0
"""How long one search may take."""

PATTERN_SECONDS = 60.0
"""How long the searches for one pattern may take together, within ten minutes."""

_WINDOW_SECONDS = 600.0
_MAX_STEPS = 10_000_000
_MAX_PATTERNS = 1000

_NOT_PLAIN = re.compile(r"[(){}]")
_REPEAT = re.compile(r"[*+?]")
_HEAD = struct.Struct("!II")

_SEARCHER = f"""
import re, signal, struct, sys, warnings
warnings.simplefilter("ignore")
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
head = struct.Struct("!II")
read, write, flush = sys.stdin.buffer.read, sys.stdout.buffer.write, sys.stdout.buffer.flush
while len(sizes := read(head.size)) == head.size:
    pattern, value = (read(size).decode("latin-1") for size in head.unpack(sizes))
    signal.setitimer(signal.ITIMER_REAL, {SEARCH_SECONDS})
    found = re.search(pattern, value) is not None
    signal.setitimer(signal.ITIMER_REAL, 0)
    write(b"1" if found else b"0")
    flush()
"""


class PatternTooSlow(ValueError):
    """A search that takes too long."""

    def __init__(self, pattern: str) -> None:
        shown = pattern if len(pattern) <= 40 else pattern[:40] + "..."
        super().__init__(f"the search for {shown!r} takes too long: say it in a simpler way")


def found(pattern: str, value: bytes) -> bool:
    """Whether a pattern is found in bytes, each of them a character; PatternTooSlow."""
    begin = time.monotonic()
    _BUDGET.check(pattern, begin)
    try:
        if _takes_a_moment(pattern, len(value)):
            return re.search(pattern, value.decode("latin-1")) is not None
        return _SEARCHES.search(pattern, value)
    finally:
        _BUDGET.spend(pattern, begin)


def _takes_a_moment(pattern: str, length: int) -> bool:
    """Whether a search is done soon, whatever the value of this length is."""
    repeats, choices = _counted(pattern)
    return repeats >= 0 and choices * (length + 1) ** (1 + repeats) <= _MAX_STEPS


@lru_cache(maxsize=_MAX_PATTERNS)
def _counted(pattern: str) -> tuple[int, int]:
    """How many repeats a pattern has at the most, none of them in another, and how many choices;
    -1 repeats where that is not to be seen at once."""
    if _NOT_PLAIN.search(pattern):
        return -1, 0
    return len(_REPEAT.findall(pattern)), pattern.count("|") + 1


class _Budget:
    """What the searches for each pattern took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: dict[str, tuple[float, float]] = {}

    def check(self, pattern: str, now: float) -> None:
        """PatternTooSlow if it is used up."""
        began, spent = self._spent.get(pattern, (now, 0.0))
        if spent > PATTERN_SECONDS and now - began < _WINDOW_SECONDS:
            raise PatternTooSlow(pattern)

    def spend(self, pattern: str, begin: float) -> None:
        """Note a search that began then."""
        now = time.monotonic()
        with self._lock:
            began, spent = self._spent.pop(pattern, (begin, 0.0))
            if now - began >= _WINDOW_SECONDS:
                began, spent = begin, 0.0
            self._spent[pattern] = began, spent + now - begin
            if len(self._spent) > _MAX_PATTERNS:
                del self._spent[next(iter(self._spent))]


class _Searches:
    """A process that searches, one search at a time; begun when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def search(self, pattern: str, value: bytes) -> bool:
        """Whether it is found; PatternTooSlow."""
        what = pattern.encode("latin-1", "replace")
        with self._lock:
            process = self._process = self._process or _begun()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(_HEAD.pack(len(what), len(value)))
                process.stdin.write(what)
                process.stdin.write(value)
                process.stdin.flush()
                answer = process.stdout.read(1)
            except OSError:
                answer = b""
            if not answer:
                self._end()
                raise PatternTooSlow(pattern)
        return answer == b"1"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass  # what it did not take
        process.wait()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()


def _begun() -> "subprocess.Popen[bytes]":
    """Alone: without our environment's modules, and in no group that a terminal signals."""
    import subprocess

    command = [sys.executable, "-I", "-S", "-c", _SEARCHER]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
    )


_BUDGET = _Budget()
_SEARCHES = _Searches()
atexit.register(_SEARCHES.close)
