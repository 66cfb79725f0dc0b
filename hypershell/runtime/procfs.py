"""What /proc says of the processes of this machine; without one it is taken to say nothing.

Read here and not by psutil, which was measured: it takes twice the time for process groups and
for environments (it has no process group of its own, and decodes every variable), it lists a
zombie like anything that is alive, and the supervisor, which is forked before anything else is
loaded, would pay 30 ms and 7 MB for it. Only `memory_percent` goes through it, in a client.

A process may end between any two reads: what cannot be read has ended, or is not ours to look at.
"""

import os
from collections.abc import Iterator


def live_groups() -> set[int]:
    """The process groups in which something is alive, zombies not counted."""
    return {int(fields[2]) for _, fields in _stats() if fields[0] not in b"ZX"}


def descendants() -> list[int]:
    """The processes below this one that are alive; orphans among them, if it is a subreaper."""
    # A zombie is dead, but what it started may be listed below it for a moment longer.
    alive: dict[int, bool] = {}
    children: dict[int, list[int]] = {}
    for pid, fields in _stats():
        alive[pid] = fields[0] not in b"ZX"
        children.setdefault(int(fields[1]), []).append(pid)
    found: list[int] = []
    below = children.get(os.getpid(), [])
    while below:
        found += [pid for pid in below if alive[pid]]
        below = [child for pid in below for child in children.get(pid, ())]
    return found


def environments() -> Iterator[tuple[int, list[bytes]]]:
    """Each process but this one, with the variables with which it was started, as NAME=VALUE."""
    own = os.getpid()
    for pid in _pids():
        if pid == own:
            continue
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                variables = file.read().split(b"\0")
        except OSError:
            continue
        yield pid, variables


def load_average() -> float:
    """Processes that ran or wanted to, on average of the last minute."""
    return os.getloadavg()[0]


def memory_percent() -> float:
    """How much of the memory of this machine is in use."""
    import psutil

    return float(psutil.virtual_memory().percent)


def _pids() -> Iterator[int]:
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            yield int(name)


def _stats() -> Iterator[tuple[int, list[bytes]]]:
    """Each process with the fields of its `stat` from the state on: state, parent, group, ..."""
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # Its name comes before them, and may hold anything, brackets and blanks too.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        yield pid, fields
