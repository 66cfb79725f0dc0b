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


def hand_over_stops(deliver: Callable[[], None]) -> None:
    """From now on call `deliver`, in a thread of its own, where Ctrl-Z would stop this process.

    It may call `stop_this_process`. Where SIGTSTP is ignored it stays so. One that came since
    `hold_stops` is delivered first.
    """
    if signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
        # SIGCONT continues a process though it is blocked; that one came is seen by its waiting.
        wait_for_signals(
            {signal.SIGTSTP, signal.SIGCONT},
            lambda number: deliver() if number == signal.SIGTSTP else None,
        )


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
