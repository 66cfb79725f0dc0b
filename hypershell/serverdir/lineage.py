"""Whether clients that were killed together with their server, and all their tasks, are gone.

A server notes of each client that it started itself which processes it consists of. When all were
killed at once, nobody was left to end their tasks, which may live on as orphans: so the next server
on that machine looks at every process that began after the one before it. Each task is the leader
of a session of its own, and an orphan is adopted by the first process of the system or by an
ancestor of the server. So a process is proven to be no task if its session is older than that
server, or if it descends from one that is older and could not have adopted it. Whatever cannot be
proven so makes the next server wait for the lease, which is always right.
"""

import json
import os
from collections.abc import Iterator, Mapping

from hypershell.runtime.procfs import Process, processes
from hypershell.serverdir.holder import this_process

_FIRST = 1
_LOOKS = 2
"""A process that forks while all are listed may be missed once."""


def lineage_of(pid: int) -> str:
    """What is to be noted of a client that is below this process; empty if it is not."""
    found, here = processes(), this_process("")
    chain = list(_upwards(pid, found))
    own = next((n for n, each in enumerate(chain) if each.pid == here.pid), 0)
    if not own or not here.boot or not here.space:
        return ""
    family, ancestors = chain[: own + 1], chain[own + 1 :]
    note = {
        "boot": here.boot,
        "space": here.space,
        "began": chain[own].begun,
        "family": [[each.pid, each.begun] for each in family],
        "ancestors": [[each.pid, each.begun] for each in ancestors],
    }
    return json.dumps(note)


def is_gone(note: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a client and all that it ran are proven to have ended."""
    here = this_process("")
    try:
        known = json.loads(note)
        is_here = (known["boot"], known["space"]) == (here.boot, here.space)
        family = {(pid, begun) for pid, begun in known["family"]}
        ancestors = {(pid, begun) for pid, begun in known["ancestors"]}
        began = int(known["began"])
    except (ValueError, TypeError, LookupError):
        return False
    # Below one of its tasks, we would take that for our own ancestor.
    if not is_here or not here.boot or not here.space or "TASK_ID" in environ:
        return False
    return all(_is_clear(processes(), family, ancestors, began) for _ in range(_LOOKS))


def _is_clear(
    found: dict[int, Process],
    family: set[tuple[int, int]],
    ancestors: set[tuple[int, int]],
    began: int,
) -> bool:
    if _FIRST not in found:
        return False  # the system hides processes of others from us
    if any((each.pid, each.begun) in family and not each.is_dead for each in found.values()):
        return False
    old_sessions = {each.session for each in found.values() if each.begun < began}
    ours = {each.pid for each in _upwards(os.getpid(), found) if each.begun >= began}
    for process in found.values():
        if process.begun < began or process.is_dead or process.session in old_sessions:
            continue
        if not _is_foreign(process.pid, found, ancestors, began, ours):
            return False
    return True


def _is_foreign(
    pid: int,
    found: dict[int, Process],
    ancestors: set[tuple[int, int]],
    began: int,
    ours: set[int],
) -> bool:
    """Whether a process that began later is proven to be no task, nor to descend from one."""
    for each in _upwards(pid, found):
        if each.pid in ours:
            return True
        if each.begun < began:
            return each.pid != _FIRST and (each.pid, each.begun) not in ancestors
    return False


def _upwards(pid: int, found: dict[int, Process]) -> Iterator[Process]:
    """A process, its parent, and so on, as far as they are seen."""
    seen: set[int] = set()
    while pid in found and pid not in seen:
        seen.add(pid)
        yield found[pid]
        pid = found[pid].parent
