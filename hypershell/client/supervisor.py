"""The small process above a client: it outlives the client, and ends the processes that are left.

The invariant: when a supervisor has ended, nothing of its client runs any more, and the server
knows or will know by the lease. The client is its child and tells it through a pipe when the server
last heard it (`supervision`). When the client is gone, however it went, or was silent for its
lease, the supervisor kills all processes below itself, orphans included, and tells the server
`leave` in the client's name, unless the client said that it had left. When the supervisor is gone,
the kernel sends the client SIGTERM.

One thread and no lock: it sleeps until the client says something or a signal comes, SIGCHLD among
them. All that it does to the system it does by a `ClientProcess`. A signal to end goes on to the
client, unless one of its own tasks sent it (`senders`). Each wait here has a bound or is ended by a
second signal: a client that does not end when it must is killed; what does not die of KILL is left
to the lease.

The order that matters: the client's last words are read after it was reaped, so that `left` is not
missed; nobody is called before what it left was killed, as a call may outlast the lease; `leave` is
said only when nothing runs any more, since the server may then start the tasks elsewhere; and the
table of what had begun is removed last, when the server knows what it says.
"""

import math
import os
import signal
from collections.abc import Callable
from typing import Protocol

from hypershell.client.begun_table import BegunTable
from hypershell.client.client_process import FORWARDED, ClientProcess, RunClient
from hypershell.client.senders import Senders
from hypershell.client.supervision import Supervision
from hypershell.core.units import signal_name
from hypershell.runtime import clock
from hypershell.runtime.signals import ENDING, Sent

_STOP_SECONDS = 3.0
"""Seconds that a client may take to have its tasks stand still and to stop."""

_GRACE_SECONDS = 0.5
"""Seconds between TERM and KILL for processes that a client left running."""

_CLEANUP_SECONDS = 60.0
"""Seconds after which processes that do not die of KILL are left to the server's lease."""

_HURRIED_SECONDS = 2.0
"""The same once a signal asks the supervisor itself to end."""

_MAX_SWEEPS = 20


class Speaker(Protocol):
    """What is said to the server in the name of a client that has died."""

    def still_here(self, client_id: str, session: int, patience_seconds: float) -> None:
        """What it left is still being ended."""

    def leave(self, client_id: str, reason: str) -> bool:
        """Nothing of it runs any more; whether the server has heard it."""


class Supervisor:
    """Runs a client in a child process and cleans up after it."""

    def __init__(
        self,
        client: RunClient,
        speaker: Callable[[], Speaker],
        begun: BegunTable,
        process: ClientProcess,
        make_senders: Callable[..., Senders] = Senders,
    ) -> None:
        self._client = client
        self._make_speaker = speaker
        self._speaker: Speaker | None = None
        self._begun = begun
        self._process = process
        self._supervision = Supervision()
        self._senders = make_senders(begun, process.supervisor, {process.launcher}, process.say)
        self._stop_by: float | None = None  # when to stop, monotonic: the client has that long

    def run(self) -> int:
        """Run the client; its exit status, 128+n when signal n killed it."""
        process = self._process
        if not process.prepare():
            self._begun.remove()
            return 128 + signal.SIGTERM
        if (own := process.start(self._client)) is not None:
            return own
        status = self._watch()
        if self._end_descendants():
            is_known = self._supervision.is_accounted_for()
            if self._supervision.owes_leave():
                process.heed_no_more()  # nothing runs any more: another signal ends this process
                is_known = self._speak().leave(self._supervision.client_id, _story(status))
            # Else the next server may learn from it that the client is gone.
            if is_known:
                self._begun.remove()
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + status % 128

    def _watch(self) -> int:
        """Pass on signals until the client has ended; its wait status."""
        supervision, process = self._supervision, self._process
        while True:
            heard = process.wait(self._patience())
            supervision.hear(heard.data)
            self._forward(heard.signals)
            if self._stop_by is not None and clock.monotonic() >= self._stop_by:
                self._stop_with_client()
                continue  # what the client said before it stopped is heard first
            if (status := self._reap()) is not None:
                supervision.hear(process.last_words())
                return status
            self._kill_if_late()

    def _patience(self) -> float | None:
        """Seconds until the lease or the time to end or to stop may be over; None is for ever."""
        if self._stop_by is not None:
            return max(0.01, self._stop_by - clock.monotonic())
        remaining = self._supervision.remaining(clock.boottime())
        until_end = self._supervision.end_remaining(clock.monotonic())
        seconds = until_end if remaining is None else min(remaining, until_end)
        return None if seconds == math.inf else max(0.01, seconds)

    def _kill_if_late(self) -> None:
        supervision = self._supervision
        remaining = supervision.remaining(clock.boottime())
        if remaining is not None and remaining <= 0:
            # The client cannot have run for long: it would have stopped its tasks itself.
            self._process.say(
                "the client did not respond before its lease expired; killing its tasks"
            )
        elif supervision.end_remaining(clock.monotonic()) <= 0:
            self._process.say("the client did not end in time; killing it and its tasks")
        else:
            return
        supervision.give_up()
        self._process.signal_all(signal.SIGKILL)

    def _obey_stop(self, number: int) -> None:
        """SIGTSTP or SIGCONT came; of both the kernel keeps the last."""
        if number == signal.SIGTSTP and self._stop_by is None:
            self._stop_by = clock.monotonic() + _STOP_SECONDS
            self._process.signal(signal.SIGTSTP)
        elif number == signal.SIGCONT:
            self._stop_by = None
            self._process.signal(signal.SIGCONT)

    def _stop_with_client(self) -> None:
        """The client has stopped, or should have: stop until continued, and then continue it.

        A client that had its tasks stand still knows whether they may run on. One that had not is
        stopped here with all that it runs, and does not run on when its lease is over.
        """
        self._stop_by = None
        if not self._supervision.is_paused:
            self._process.signal_all(signal.SIGSTOP)
        self._process.stop_supervisor()
        if self._supervision.is_paused:
            self._process.signal(signal.SIGCONT)
            return
        remaining = self._supervision.remaining(clock.boottime())
        goes_on = remaining is None or remaining > 0
        self._process.signal_all(signal.SIGCONT if goes_on else signal.SIGKILL)

    def _orders(self, signals: list[Sent]) -> list[int]:
        """Those of these signals that are not of our own tasks, SIGCHLD aside."""
        return [
            sent.number
            for sent in signals
            if sent.number != signal.SIGCHLD
            and (sent.number not in ENDING or self._senders.is_order(sent))
        ]

    def _forward(self, signals: list[Sent]) -> None:
        if not signals:
            return
        now = clock.monotonic()
        orders = self._orders(signals)
        for number in orders:
            self._obey_stop(number)
        asked = [number for number in orders if number in FORWARDED]
        for number in self._supervision.signals_to_forward(asked, now):
            self._process.signal(number)
            if number in ENDING:
                self._supervision.told_to_end(number, now)

    def _reap(self) -> int | None:
        """Reap what has ended, orphans included; the client's wait status if it is among them."""
        reaped = self._process.reap()
        if reaped.has_stopped and self._stop_by is not None:
            self._stop_by = clock.monotonic()  # it has stopped, as it was asked to
        return reaped.status

    def _end_descendants(self) -> bool:
        """Kill all that runs below this process; whether it is gone when this returns.

        What runs as another user by now cannot be killed, and is not waited for.
        """
        process = self._process
        if not process.descendants():
            return True
        foreign = process.signal_all(signal.SIGTERM)
        now = clock.monotonic()
        kill_at, end_at = now + self._grace_left(), now + _CLEANUP_SECONDS
        was_killed = False
        stopped: set[int] = set()
        sweeps = 0
        while left := process.descendants() - foreign:
            self._reap()
            now = clock.monotonic()
            if now > end_at:
                self._process.say(f"{len(left)} processes of its tasks do not die of KILL")
                return False
            if any(number in ENDING for number in self._orders(process.signals())):
                kill_at, end_at = now, min(end_at, now + _HURRIED_SECONDS)
            # Not before: the call may outlast the lease, and what heeds KILL must be dead by then.
            if was_killed and self._supervision.beat_due(clock.boottime()):
                self._still_here()
            if now >= kill_at and (new := left - stopped) and sweeps < _MAX_SWEEPS:
                # They may start others faster than they could be killed: all are stopped first.
                for pid in new:
                    process.signal(signal.SIGSTOP, pid)
                stopped |= new
                sweeps += 1
                continue
            if now >= kill_at:
                foreign = process.signal_all(signal.SIGKILL)
                stopped, sweeps, was_killed = set(), 0, True
            clock.sleep(0.01)
        self._reap()
        if foreign:
            self._process.say(f"cannot end what runs as another user: process {min(foreign)}")
        return True

    def _grace_left(self) -> float:
        """Seconds between TERM and KILL: not beyond the lease, after which others run the tasks."""
        remaining = self._supervision.remaining(clock.boottime())
        return _GRACE_SECONDS if remaining is None else min(_GRACE_SECONDS, max(0.0, remaining))

    def _still_here(self) -> None:
        supervision = self._supervision
        supervision.heard(clock.boottime())
        self._speak().still_here(supervision.client_id, supervision.session, _HURRIED_SECONDS)

    def _speak(self) -> Speaker:
        if self._speaker is None:
            self._speaker = self._make_speaker()
        return self._speaker


def _story(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal_name(os.WTERMSIG(status))
    return f"exit status {os.WEXITSTATUS(status)}"
