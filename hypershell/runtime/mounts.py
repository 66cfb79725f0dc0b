"""Whether a lock on a file is seen by every machine that sees the file, as the mount tells."""

import os
import re
from pathlib import Path

# No other machine sees these at all.
_OWN = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
_OCTAL = re.compile(r"\\([0-7]{3})")


def lock_reaches_all(directory: Path, table: str = "/proc/self/mountinfo") -> bool:
    """Whether flock on a file in this directory excludes processes on other machines.

    True only where it is certain; a file system that is not known here counts as one where each
    machine has locks of its own.
    """
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return False
    kind, options = _mount_of(os.path.realpath(directory), lines)
    if kind in ("nfs", "nfs4"):
        return "local_lock=none" in options and "nolock" not in options
    if kind == "lustre":
        return "flock" in options
    return kind == "ceph" or kind in _OWN


def is_local(directory: Path, table: str = "/proc/self/mountinfo") -> bool:
    """Whether this directory is certainly on a file system that no other machine sees.

    Where the table cannot be read, as on other systems, it is taken to be.
    """
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return True
    return _mount_of(os.path.realpath(directory), lines)[0] in _OWN


def _mount_of(path: str, lines: list[str]) -> tuple[str, frozenset[str]]:
    """The type and options of the file system that a path is on; see proc_pid_mountinfo(5)."""
    best, found = "", ("", frozenset[str]())
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split()
        if len(fields) < 6 or len(rest) < 3:
            continue
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        # Of two mounts on one point, the later hides the earlier.
        if len(point) >= len(best) and _is_under(path, point):
            best, found = point, (rest[0], frozenset(rest[2].split(",")))
    return found


def _is_under(path: str, point: str) -> bool:
    return point == "/" or path == point or path.startswith(point + "/")
