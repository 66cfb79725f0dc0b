"""Which thread learns of a signal: one that waits for it, and no other."""

import signal
import threading
from collections.abc import Callable, Collection

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a program."""

_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


def hand_over_signals(deliver: Callable[[int], None]) -> None:
    """From now on call `deliver`, in a thread of its own, for each signal of ENDING that comes.

    One that is ignored stays so. To be called by the main thread before others are started.
    A handler would not do: Python calls it in the main thread once that runs again, and for a
    signal that comes in the moment in which it falls asleep this may be never.
    """
    wait_for_signals(
        {number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN}, deliver
    )


def wait_for_signals(numbers: Collection[int], deliver: Callable[[int], None]) -> None:
    """The same for any signals; `deliver` must not raise."""
    if not numbers:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def wait() -> None:
        leave_signals_alone()
        while True:
            deliver(signal.sigwait(numbers))

    threading.Thread(target=wait, name="signals", daemon=True).start()


def leave_signals_alone() -> None:
    """Block all signals, to be called first thing in any thread that is not the main one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
