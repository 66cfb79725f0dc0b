"""Runs: one numbered directory for each start of a server, and the link to the current one."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hypershell.access.errors import CurrentBlocked, DirectoryUnusable, shown
from hypershell.access.format import is_host, is_port, is_uid
from hypershell.access.private_files import (
    read_private,
    replace_link,
    replace_private,
    sync_directory,
)
from hypershell.core.errors import HyperShellError
from hypershell.runtime import clock

ACCESS = "access.json"
CURRENT = "current"

_RECORD = "server.json"
_LARGEST_RECORD = 64 * 1024
_NUMBER = re.compile(r"[0-9]{3,9}")
_WORD = re.compile(r"[ -~]{0,255}")
_TRIES = 1000


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What a run's `server.json` says: who, where and since when; no key.

    `started` and `ended` are seconds of wall-clock time, to be shown only. `ended` is None while
    the server runs, and stays so if it died. `home` is where its lock and its task database are:
    the number of a run directory, or "" for the server directory. `input` is a digest of the path
    of its input, "" without one; `in_memory` says that it keeps no task beyond its end.
    """

    server_uid: str
    pid: int
    host: str
    user_id: int
    version: str
    started: float
    worker_host: str
    worker_port: int
    client_host: str
    client_port: int
    ended: float | None = None
    reason: str = ""
    home: str = ""
    input: str = ""
    in_memory: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a server: its directory and what it says of itself.

    The record is None where there is none, or none that can be read.
    """

    path: Path
    record: ServerRecord | None

    @property
    def access_path(self) -> Path:
        """Its access file."""
        return self.path / ACCESS

    @property
    def number(self) -> int:
        """Its place in the order of starts."""
        return int(self.path.name)

    @property
    def ended_cleanly(self) -> bool:
        """Whether the server of this run cleaned up when it ended."""
        return self.record is not None and self.record.ended is not None

    def publish(self) -> None:
        """Make this the run that others find."""
        replace_link(self.path.parent / CURRENT, self.path.name)

    def end(self, reason: str, *, ended: float | None = None) -> None:
        """Leave the record of a clean end, and remove the link if it is still this run's.

        To be called while the directory is held. `reason` is a word or two for later readers;
        `ended` is now, if not given. DirectoryUnusable if the disk does not take it.
        """
        directory = self.path.parent
        try:
            # The record comes first: a power cut in between leaves an ended run, not a dead one.
            if self.record is not None:
                moment = clock.wall() if ended is None else ended
                write_record(self.path, replace(self.record, ended=moment, reason=reason))
            if linked_name(directory / CURRENT) == self.path.name:
                (directory / CURRENT).unlink(missing_ok=True)
                sync_directory(directory)
        except OSError as error:
            raise DirectoryUnusable.because(directory, error) from error


def new_run_directory(directory: Path) -> Path:
    """Make the directory of the next run; who loses a race for a number takes the next."""
    taken = [int(name) for name in os.listdir(directory) if is_run_name(name)]
    first = max(taken, default=0) + 1
    for number in range(first, first + _TRIES):
        path = directory / f"{number:03d}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        os.chmod(path, 0o700)  # a umask may have taken the owner's own bits
        sync_directory(directory)
        return path
    raise DirectoryUnusable(
        path=shown(directory), reason="it has no free run number left; delete old runs in it"
    )


def is_run_name(name: str) -> bool:
    """Whether a server would give a run this name."""
    return _NUMBER.fullmatch(name) is not None and name == f"{int(name):03d}"


def runs_in(directory: Path) -> list[Run]:
    """All runs, in order; empty if the directory is not there. OSError if it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            names = [
                entry.name
                for entry in entries
                if is_run_name(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [load_run(directory / name) for name in sorted(names, key=int)]


def current_run(directory: Path) -> Run | None:
    """The run that the link names; None if there is no link, or it leads to no run of ours."""
    name = linked_name(directory / CURRENT)
    if name is None or not is_run_name(name):
        return None
    path = directory / name
    return load_run(path) if path.is_dir() and not path.is_symlink() else None


def linked_name(link: Path) -> str | None:
    """Where a link leads; None if it is none."""
    try:
        return os.readlink(link)
    except OSError:
        return None


def check_current(directory: Path) -> None:
    """Raise CurrentBlocked if a new link could not, or should not, take the place of what is there.

    Links are replaced wherever they lead. A file or directory was put there by somebody.
    """
    current = directory / CURRENT
    if os.path.lexists(current) and not current.is_symlink():
        raise CurrentBlocked(path=shown(current))


def load_run(path: Path) -> Run:
    """A run as it is on disk."""
    try:
        text = read_private(path / _RECORD, "record", _LARGEST_RECORD)
    except (OSError, HyperShellError):
        return Run(path, None)
    return Run(path, _record_from(text))


def write_record(path: Path, record: ServerRecord) -> None:
    """Store the record of the run in that directory, durably and in one step."""
    text = json.dumps(asdict(record), indent=2).encode() + b"\n"
    replace_private(path / _RECORD, text, 0o600)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 2**37  # type: ignore[operator]


def _is_time_or_none(value: object) -> bool:
    return value is None or _is_time(value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "server_uid": is_uid,
    "pid": _is_count,
    "host": _is_word,
    "user_id": _is_count,
    "version": _is_word,
    "started": _is_time,
    "worker_host": is_host,
    "worker_port": is_port,
    "client_host": is_host,
    "client_port": is_port,
    "ended": _is_time_or_none,
    "reason": _is_word,
}

_LATER: dict[str, tuple[Callable[[Any], bool], Any]] = {
    "home": (lambda value: value == "" or (isinstance(value, str) and is_run_name(value)), ""),
    "input": (_is_word, ""),
    "in_memory": (lambda value: isinstance(value, bool), False),
}
"""Fields that the record of an earlier release lacks, with what they mean there."""


def _record_from(text: bytes) -> ServerRecord | None:
    """Read a record; None if it is not a whole and plausible one."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if not all(name in fields and check(fields[name]) for name, check in _CHECKS.items()):
        return None
    later = {name: fields.get(name, default) for name, (_, default) in _LATER.items()}
    if not all(check(later[name]) for name, (check, _) in _LATER.items()):
        return None
    return ServerRecord(**{name: fields[name] for name in _CHECKS}, **later)
