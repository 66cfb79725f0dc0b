"""What /proc says of the processes of this machine; without one it is taken to say nothing.

Read here and not by psutil, which was measured: it takes twice the time for sessions and
for environments (it knows neither group nor session, and decodes every variable), it lists a
zombie like anything that is alive, and the supervisor, which is forked before anything else is
loaded, would pay 30 ms and 7 MB for it. Only `memory_percent` goes through it, in a client.

The same holds for a /proc of another namespace of processes, as in ``unshare --pid`` and some
containers: its numbers mean other processes here.

A process may end between any two reads: what cannot be read has ended, or is not ours to look at.
Where more depends on it, as on `processes` and `carriers`, what cannot be read for another reason
is an error.
"""

import errno
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from hypershell.runtime.limits import opening

_ENDED = frozenset({errno.ENOENT, errno.ESRCH})


class Place(NamedTuple):
    """Which processes are seen here, and by which clock: the inodes of both namespaces.

    Numbers of processes, and when these began, mean the same in one place only.
    """

    space: int
    time_space: int


class Process(NamedTuple):
    """A process that is alive; `began` in ticks since the kernel's start tells it from a later one
    of its number.
    """

    pid: int
    parent: int
    session: int
    began: int


def shows_us() -> bool:
    """Whether there is a /proc, and its numbers are those by which processes are known here."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def own_place() -> Place | None:
    """Where this process is; None where /proc does not tell, or shows the processes of others."""
    if not shows_us():
        return None
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
        has_clocks = os.path.exists("/proc/self/ns/time")
        return Place(space, os.stat("/proc/self/ns/time").st_ino if has_clocks else 0)
    except OSError:
        return None


def began(pid: int | None = None) -> int | None:
    """When a process, or this one, began; None if it has ended."""
    fields = _stat(os.getpid() if pid is None else pid)
    return None if fields is None or not _is_alive(fields) else int(fields[19])


def sees_all() -> bool:
    """Whether the processes of other users are seen, too."""
    return _stat(1) is not None


def processes() -> dict[int, Process]:
    """All processes that are alive, by their numbers. OSError if one cannot be looked at."""
    found = {}
    for pid in _pids():
        fields = _fields(_read(pid, "stat", _ENDED))
        if fields and _is_alive(fields):
            found[pid] = Process(pid, int(fields[1]), int(fields[3]), int(fields[19]))
    return found


def carriers(variable: bytes) -> set[int]:
    """The processes that were started with this variable, NAME=VALUE, as far as we may see it.

    OSError if one cannot be looked at for another reason. One that becomes another program at this
    moment shows no variable.
    """
    hidden = {errno.EACCES, errno.EPERM, *_ENDED}
    return {pid for pid in _pids() if variable in _read(pid, "environ", hidden).split(b"\0")}


def below(roots: Collection[int], found: Collection[Process]) -> set[int]:
    """Those of these processes that are below one of the roots, which are not among them."""
    children = _children_by_parent((process.pid, process.parent) for process in found)
    return set(_under(roots, children))


def live_sessions() -> dict[int, set[int]]:
    """The sessions in which something is alive, zombies not counted: the live groups of each.

    A group belongs to one session. A process makes groups of its own in it as it likes; it leaves
    it only for a new one.
    """
    sessions: dict[int, set[int]] = {}
    for _, fields in _stats():
        if _is_alive(fields):
            sessions.setdefault(int(fields[3]), set()).add(int(fields[2]))
    return sessions


def descendants() -> list[int]:
    """The processes below this one that are alive; orphans among them, if it is a subreaper."""
    stats = dict(_stats())
    return [pid for pid in _under([os.getpid()], _children_in(stats)) if _is_alive(stats[pid])]


def children_of(pid: int) -> list[int] | None:
    """The processes that are its children, zombies among them; None if it cannot be told."""
    if not shows_us():
        return None
    try:
        with opening, open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return None


def trees(roots: Collection[int]) -> dict[int, dict[int, int]]:
    """What is below each of these processes: when each of those was started, in clock ticks.

    By both together a process is known also when its number may have been used again.
    """
    stats = dict(_stats())
    children = _children_in(stats)
    return {root: {pid: int(stats[pid][19]) for pid in _under([root], children)} for root in roots}


def alive_below(root: int) -> set[int]:
    """The processes below `root` that are alive; this process and `root` are not among them."""
    return set(_states_below(root, ()))


def ancestors(pid: int) -> list[int] | None:
    """The processes above one, its parent first; None if it has ended, or cannot be looked at.

    One that entered a container from outside, as `docker exec` does, has none above it there.
    """
    found: list[int] = []
    if not shows_us():
        return None
    while pid > 1:
        fields = _stat(pid)
        if fields is None:
            return found or None
        pid = int(fields[1])
        if pid:
            found.append(pid)
    return found


def running_below(root: int, sessions: Collection[int]) -> set[int]:
    """The processes that are alive and not stopped, below `root` or in one of these sessions.

    This process and `root` are not among them.
    """
    return {pid for pid, state in _states_below(root, sessions).items() if state not in b"Tt"}


def stopped_below(root: int, sessions: Collection[int]) -> set[int]:
    """The same, of those that are stopped, or may be: of one without its main thread none knows."""
    return {pid for pid, state in _states_below(root, sessions).items() if state in b"TtZX"}


def _states_below(root: int, sessions: Collection[int]) -> dict[int, bytes]:
    """The states of what is alive below `root` or in one of these sessions."""
    stats = dict(_stats())
    found = {pid for pid, fields in stats.items() if int(fields[3]) in sessions}
    found.update(_under([root], _children_in(stats)))
    return {pid: stats[pid][0] for pid in found - {root, os.getpid()} if _is_alive(stats[pid])}


def _children_in(stats: Mapping[int, list[bytes]]) -> dict[int, list[int]]:
    return _children_by_parent((pid, int(fields[1])) for pid, fields in stats.items())


def _children_by_parent(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The children of each process, of processes and their parents."""
    children: dict[int, list[int]] = {}
    for pid, parent in pairs:
        children.setdefault(parent, []).append(pid)
    return children


def _under(roots: Collection[int], children: Mapping[int, list[int]]) -> list[int]:
    """What is below these, however deep; zombies too, below which something may be alive."""
    found: list[int] = []
    seen, left = set(roots), list(roots)
    while left:
        new = [child for child in children.get(left.pop(), ()) if child not in seen]
        seen.update(new)
        found += new
        left += new
    return found


def environments() -> Iterator[tuple[int, list[bytes]]]:
    """Each process but this one, with the variables with which it was started, as NAME=VALUE."""
    own = os.getpid()
    for pid in _pids():
        if pid == own:
            continue
        try:
            variables = _read(pid, "environ").split(b"\0")
        except OSError:
            continue
        yield pid, variables


def load_average() -> float:
    """Processes that ran or wanted to, on average of the last minute."""
    return os.getloadavg()[0]


def memory_percent() -> float:
    """How much of the memory of this machine is in use."""
    import psutil

    with opening:
        return float(psutil.virtual_memory().percent)


def _pids() -> Iterator[int]:
    with opening:
        names = os.listdir("/proc") if shows_us() else []
    for name in names:
        if name.isdigit():
            yield int(name)


def _stats() -> Iterator[tuple[int, list[bytes]]]:
    """Each process and the fields of its `stat`: state, parent, group, session, ..."""
    for pid in _pids():
        if (fields := _stat(pid)) is not None:
            yield pid, fields


def _stat(pid: int) -> list[bytes] | None:
    """The fields of one process, as above; None if it has ended."""
    try:
        return _fields(_read(pid, "stat"))
    except OSError:
        return None


def _fields(stat: bytes) -> list[bytes]:
    # The name comes before them, and may hold anything, brackets and blanks too.
    return stat.rpartition(b")")[2].split()


def _is_alive(fields: list[bytes]) -> bool:
    """Whether a process runs. Its main thread may have ended before others: then it looks dead."""
    return fields[0] not in b"ZX" or int(fields[17]) > 1


def _read(pid: int, name: str, no_matter: Collection[int] = ()) -> bytes:
    """A file of a process; nothing at one of these errors, and OSError at another."""
    try:
        with opening, open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno not in no_matter:
            raise
        return b""
