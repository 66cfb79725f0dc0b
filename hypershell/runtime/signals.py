"""Signals: the state that a process of ours starts with, and which thread learns of one that comes.

One thread waits for the signals that end a program, and no other gets them. It is told who sent
each (`Sent`), and it has the last word: a process that is to have ended by now, and still waits for
something somewhere, is ended by it.
"""

import contextlib
import math
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a program."""

_KEPT_IGNORED = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
"""What stays ignored if it was when the program started, as under `nohup` or behind `&`."""

_BY_PYTHON = {signal.SIGPIPE, *(s for s in signal.Signals if s.name == "SIGXFSZ")}
"""What Python ignores itself, so that an error is raised instead."""

_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}

_SENT_BY_PROCESS = {0, -1, -6}  # SI_USER, SI_QUEUE, SI_TKILL: si_pid is who called kill(2) or such


class Sent(NamedTuple):
    """A signal that came. `pid` is who sent it; 0 if that is the kernel, or cannot be named here.

    A process outside the process namespace of this one cannot.
    """

    number: int
    pid: int = 0


@contextlib.contextmanager
def interrupt_held() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt only after this, when its result is known; a second one, now.

    Only in the main thread of a program that has not handed its signals over.
    """
    came = 0

    def note(*_: object) -> None:
        nonlocal came
        came += 1
        if came > 1:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield  # it is ignored, or somebody else's
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


Deliver = Callable[[Sent], float]
"""Called for a signal that came; within how many seconds the process must have ended by then.

`math.inf` says that it need not. It must not raise.
"""


def begin_with_defaults() -> None:
    """Block no signal, and ignore none but what is kept ignored; to be called first in a process.

    What started it may have blocked or ignored any. A child that nobody can wait for, or a TERM
    that is not heard, must not come of that.
    """
    for number in signal.valid_signals() - _KEPT_IGNORED - _BY_PYTHON:
        if signal.getsignal(number) is signal.SIG_IGN:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


_target: list[Deliver] = []


def hand_over_signals(deliver: Deliver) -> None:
    """From now on call `deliver`, in a thread of its own, for each signal of ENDING that comes.

    One that is ignored stays so. To be called by the main thread before others are started; called
    again, it is `deliver` alone that changes.
    A handler would not do: Python calls it in the main thread once that runs again, and for a
    signal that comes in the moment in which it falls asleep this may be never.
    """
    _target.append(deliver)
    if len(_target) == 1:
        wait_for_signals(not_ignored(ENDING), lambda sent: _target[-1](sent))


def end_at_once() -> None:
    """From now on a signal of ENDING ends this process at once; to be called by the main thread."""
    if _target:
        _target.append(lambda _: 0.0)
    else:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def wait_for_signals(numbers: Collection[int], deliver: Deliver) -> None:
    """The same for any signals."""
    if not numbers:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def wait() -> None:
        leave_signals_alone()
        ends_at, last = math.inf, 0
        while True:
            sent = _next(numbers, ends_at)
            if sent is None:
                os._exit(128 + last)
            last = sent.number
            ends_at = min(ends_at, time.monotonic() + deliver(sent))

    start_in_time(threading.Thread(target=wait, name="signals", daemon=True))


START_SECONDS = 10.0
"""A thread that has not begun to run by then never will."""


class _Started(threading.Event):
    """What `Thread.start` waits for: without memory the thread may end before it sets it."""

    def wait(self, timeout: float | None = None) -> bool:
        if not super().wait(START_SECONDS if timeout is None else timeout):
            raise RuntimeError("can't start new thread")
        return True


def start_in_time(thread: threading.Thread) -> None:
    """Start a thread; RuntimeError if it cannot be, or does not begin to run."""
    if hasattr(thread, "_started"):
        thread._started = _Started()
    thread.start()


def _next(numbers: Collection[int], until: float) -> Sent | None:
    """The next of these signals, which are blocked; None if the time comes before one does."""
    if not hasattr(signal, "sigtimedwait"):
        return Sent(signal.sigwait(numbers))  # which tells no sender, and waits for ever
    if until == math.inf:
        return _sent(signal.sigwaitinfo(numbers))
    info = signal.sigtimedwait(numbers, max(0.0, until - time.monotonic()))
    return None if info is None else _sent(info)


def _sent(info: "signal.struct_siginfo") -> Sent:
    return Sent(info.si_signo, info.si_pid if info.si_code in _SENT_BY_PROCESS else 0)


def hand_over_stops(deliver: Callable[[], None]) -> None:
    """From now on call `deliver`, in a thread of its own, where Ctrl-Z would stop this process.

    It may call `stop_this_process`. Where SIGTSTP is ignored it stays so. One that came since
    `hold_stops` is delivered first.
    """
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:
        return

    def came(sent: Sent) -> float:
        if sent.number == signal.SIGTSTP:
            deliver()
        return math.inf

    # SIGCONT continues a process though it is blocked; that one came is seen by its waiting.
    wait_for_signals({signal.SIGTSTP, signal.SIGCONT}, came)


def hold_stops() -> None:
    """Ctrl-Z stops this process no more, until `hand_over_stops` says what it does then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})


def stop_this_process() -> None:
    """Stop all threads of this process until it is continued; returns then.

    If it was continued since the last signal that would have stopped it, it goes on at once: who
    stops a job waits for its first process alone, and may continue it before the others stop.
    """
    if signal.SIGCONT not in signal.sigpending():
        # To this thread: another would be stopped first, while this one runs on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def leave_signals_alone() -> None:
    """Block all signals, to be called first thing in any thread that is not the main one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)


def not_ignored(numbers: Collection[int]) -> set[int]:
    """Those of these signals that are not ignored."""
    return {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}


class SignalReader:
    """Signals as something to read, for a process of one thread that waits by `poll`.

    They are blocked from when it is made. On Linux it is a signalfd, which tells who sent them;
    elsewhere a pipe that handlers write to.
    """

    def __init__(self, numbers: Collection[int]) -> None:
        self._descriptor = _signalfd(numbers) if sys.platform == "linux" else -1
        self._tells_sender = self._descriptor >= 0
        if self._tells_sender:
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
            return
        self._descriptor, write_end = os.pipe()
        for descriptor in (self._descriptor, write_end):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)

    def fileno(self) -> int:
        """What to poll for something to read."""
        return self._descriptor

    def read(self) -> list[Sent]:
        """The signals that have come; returns at once."""
        try:
            data = os.read(self._descriptor, 64 * _SIGINFO.size)
        except BlockingIOError:
            return []
        if not self._tells_sender:
            return [Sent(number) for number in data]
        return [
            Sent(number, pid if code in _SENT_BY_PROCESS else 0)
            for number, _, code, pid in _SIGINFO.iter_unpack(data)
        ]


_SIGINFO = struct.Struct("=IiiI112x")  # the start of a struct signalfd_siginfo, and its size

_SIGSET_BYTES = 128  # of a sigset_t, in every C library


def _signalfd(numbers: Collection[int]) -> int:
    """A descriptor from which these signals can be read; -1 if there is no such thing."""
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "signalfd"):
        return -1
    wanted = ctypes.create_string_buffer(_SIGSET_BYTES)
    library.sigemptyset(wanted)
    for number in numbers:
        library.sigaddset(wanted, int(number))
    descriptor: int = library.signalfd(-1, wanted, os.O_NONBLOCK | os.O_CLOEXEC)
    return descriptor
