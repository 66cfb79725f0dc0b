"""Who sent a signal that is to end a client: somebody outside, or a task of its own.

A line such as ``kill $PPID`` would otherwise end one client after another. Both the client and its
supervisor ask, and share what they ignored through the table of what has begun.
"""

import os
from collections.abc import Callable, Collection

from hypershell.client.begun_table import BegunTable
from hypershell.core.units import signal_name
from hypershell.runtime import clock, procfs
from hypershell.runtime.signals import Sent

AGAIN_SECONDS = 10.0
"""Seconds within which a second signal is obeyed, no matter who sends it."""

_MAX_NAMED = 10

_NOTED_SECONDS = 0.1
"""Seconds within which the process of a task that was started is in the table."""


class Senders:
    """Decides for one process whether a signal is an order; `say` is given the warnings.

    `supervisor` is the process below which everything that a client runs is; `trusted` are those
    whose signals are orders even if they have ended by now: it, and what started it.
    """

    def __init__(
        self,
        begun: BegunTable,
        supervisor: int,
        trusted: Collection[int],
        say: Callable[[str], None],
    ) -> None:
        self._begun = begun
        self._supervisor = supervisor
        self._trusted = {supervisor, os.getpid(), *trusted}
        self._say = say

    def is_order(self, sent: Sent) -> bool:
        """Whether to obey; to be asked at once, as a sender may end at any moment.

        One whose sender cannot be told comes from the kernel or from outside this namespace of
        processes, where no task of ours is.
        """
        if sent.pid in self._trusted or not sent.pid:
            return True
        known = self._relatives(sent.pid)
        if known is None:
            if not self._begun.was_used:
                return True  # there is no task that it could have been
        elif self._supervisor not in known and self._begun.task_of(known) is None:
            return True
        return self._is_repeated(sent, known)

    def _relatives(self, pid: int) -> list[int] | None:
        """A process, its session and those above it; None if it has ended."""
        try:
            session = os.getsid(pid)
            above = procfs.ancestors(pid)
            if above is None:
                # Still alive, it may not be looked at: another user's, as on many clusters.
                os.getsid(pid)
        except ProcessLookupError:
            return None
        return [pid, session, *(above or ())]

    def _is_repeated(self, sent: Sent, known: list[int] | None) -> bool:
        """Whether one was ignored a moment ago; if not, this one is."""
        now, before = clock.boottime(), self._begun.doubt_at
        is_repeated = before > 0 and now - before < AGAIN_SECONDS
        came = f"{signal_name(sent.number)} came from {self._describe(sent.pid, known)}"
        if is_repeated:
            self._say(f"{came}: obeyed, as it is the second one")
        else:
            self._begun.doubt_at = now
            self._say(f"{came}: ignored; a second one within {AGAIN_SECONDS:g} s ends this client")
        return is_repeated

    def _task_of(self, pids: list[int]) -> int | None:
        """The task, which may be so new that the executor has not noted its process yet."""
        deadline = clock.monotonic() + _NOTED_SECONDS
        while (task := self._begun.task_of(pids)) is None and clock.monotonic() < deadline:
            clock.sleep(0.01)
        return task

    def _describe(self, pid: int, known: list[int] | None) -> str:
        task = self._task_of([pid] if known is None else known)
        if task is not None:
            return f"task {task}"
        begun, ended = self._begun.read()
        ids = sorted({task_id for task_id, _ in (*begun, *ended)})
        names = ", ".join(map(str, ids[:_MAX_NAMED])) + (" …" if len(ids) > _MAX_NAMED else "")
        which = f"one of the tasks {names}" if len(ids) > 1 else f"task {names or '?'}"
        has_ended = ", which has ended" if known is None else ""
        return f"process {pid}{has_ended}, perhaps {which}" if ids else f"process {pid}{has_ended}"
