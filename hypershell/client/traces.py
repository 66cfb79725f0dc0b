"""What a server can know of clients of its machine that were killed together with their supervisor.

Nobody is left who ends their tasks or says what had begun. But their tables are (`trace_file`), and
so are their tasks, perhaps. A client is *dead* when its file says so. What runs of it then is what
carries its id in the environment (TASK_CLIENT_ID), with all below that: it gets TERM, and KILL when
the grace is over, as the supervisor would have done. A client is *gone* when it is dead and

* nothing carries its id any more,
* nothing lives in the session of a task that it had begun, whatever its environment says, and
* of a task that it was just about to start, whose process is not in the table, nothing can live:
  each session of this machine is older than the client, or ours.

Whatever cannot be told so is not gone, and the lease decides: where another user's processes are
hidden, from another set of process numbers (a container), or for a server that runs below one of
these tasks itself, which ends nothing then.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Collection, Iterable

from hypershell.client.begun_table import Trace, client_number
from hypershell.client.trace_file import (
    left_behind,
    open_directory,
    owner_of,
    trace_directory,
)
from hypershell.core.begun import GoneClient
from hypershell.runtime import clock, procfs

log = logging.getLogger(__name__)

Processes = dict[int, procfs.Process]

_MARK = b"TASK_CLIENT_ID="

_GRACE_SECONDS = 0.5
"""Between TERM and KILL, as a supervisor has it."""

_MAX_SWEEPS = 20

_LOOKS = 2
"""A process that another one starts while all are looked at may be missed once."""


class Traces:
    """Used by one thread. `directory` is where the files of clients are."""

    def __init__(self, directory: str | None = None) -> None:
        self._directory = trace_directory() if directory is None else directory
        self._kill_at: dict[str, float] = {}
        self._dead: dict[str, str] = {}

    @property
    def is_busy(self) -> bool:
        """Whether one of the clients that were last looked for is dead, and not gone yet."""
        return bool(self._dead)

    def look(self, client_ids: Iterable[str]) -> list[GoneClient]:
        """Those of these clients that are gone; what is left of those that are dead is ended.

        It does not wait for that: look again.
        """
        self._dead = {}
        wanted = set(client_ids)
        here = procfs.own_place() if wanted else None
        if here is None or not procfs.sees_all():
            return []
        gone = []
        for client_id, trace in self._dead_of(wanted).items():
            # What cannot be looked at, for want of descriptors or so, is no reason to go on.
            with contextlib.suppress(OSError):
                if trace.owner.place == here and self._is_gone(client_id, trace):
                    gone.append(GoneClient(client_id, trace.begun, trace.interrupted))
                    self._kill_at.pop(client_id, None)
        return gone

    def remove(self, client_id: str) -> None:
        """All that there was to be known of a client that is gone is known."""
        if name := self._dead.pop(client_id, None):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._directory, name))

    def _dead_of(self, wanted: set[str]) -> dict[str, Trace]:
        """What those of these clients left that are dead."""
        numbers = {client_number(client_id): client_id for client_id in wanted}
        numbers.pop(None, None)
        found: dict[str, list[tuple[str, Trace | None]]] = {}
        try:
            with open_directory(self._directory) as directory:
                for name in os.listdir(directory):
                    client_id = numbers.get(owner_of(directory, name))
                    if client_id is not None:
                        trace = left_behind(directory, name)
                        found.setdefault(client_id, []).append((name, trace))
        except OSError:
            return {}
        dead = {}
        for client_id, traces in found.items():
            name, trace = traces[0]
            if len(traces) == 1 and trace is not None:  # an id has one file
                dead[client_id] = trace
                self._dead[client_id] = name
        return dead

    def _is_gone(self, client_id: str, trace: Trace) -> bool:
        for _ in range(_LOOKS):
            left, found = _left_of(client_id)
            if left is None:
                return False
            if left:
                self._end(client_id, left)
                return False
            if not _is_clear(trace, found):
                return False
        return True

    def _end(self, client_id: str, left: set[procfs.Process]) -> None:
        """End what is left of a client that is dead, step by step."""
        now = clock.monotonic()
        if client_id not in self._kill_at:
            self._kill_at[client_id] = now + _GRACE_SECONDS
            number = len(left)
            log.warning(
                "client %s was killed together with its supervisor; ending %d %s of its tasks",
                client_id,
                number,
                "process" if number == 1 else "processes",
            )
            _signal(left, signal.SIGTERM, signal.SIGCONT)
        elif now >= self._kill_at[client_id]:
            _kill(client_id, left)


def _kill(client_id: str, left: set[procfs.Process]) -> None:
    """Kill these, and what they start meanwhile: all are stopped first."""
    stopped: set[procfs.Process] = set()
    for _ in range(_MAX_SWEEPS):
        if not (new := left - stopped):
            break
        _signal(new, signal.SIGSTOP)
        stopped |= new
        left = _left_of(client_id)[0] or set()
    _signal(stopped, signal.SIGKILL)


def _left_of(client_id: str) -> tuple[set[procfs.Process] | None, Processes]:
    """What carries the id of a client, with all below it, of all processes that are found.

    None if this process is among that.
    """
    mark = client_id.encode()
    marked = procfs.carriers(_MARK + mark)
    found = procfs.processes()  # later: all that was marked is here, or has ended
    family = marked | procfs.below(marked, found.values())
    if os.getpid() in family:
        return None, found
    return {found[pid] for pid in family & found.keys()}, found


def _is_clear(trace: Trace, found: Processes) -> bool:
    """Whether nothing lives in a session of its tasks, nor in one that may be."""
    sessions: dict[int, list[procfs.Process]] = {}
    for process in found.values():
        sessions.setdefault(process.session, []).append(process)
    if not trace.pids.isdisjoint(sessions):
        return False
    return not trace.is_starting or not _is_any_new(trace.owner.began, sessions, found)


def _is_any_new(since: int, sessions: dict[int, list[procfs.Process]], found: Processes) -> bool:
    """Whether there is a session that is not older than these ticks, beside ours."""
    own = os.getpid()
    ours = procfs.below([own], found.values()) | {own}
    return any(
        session != os.getsid(0)
        and min(process.began for process in members) >= since
        and not all(process.pid in ours for process in members)
        for session, members in sessions.items()
    )


def _signal(processes: Collection[procfs.Process], *numbers: int) -> None:
    """Signal those that are still the ones that were found."""
    for process in processes:
        if procfs.began(process.pid) != process.began:
            continue
        for number in numbers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)
