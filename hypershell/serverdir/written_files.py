"""The files of failed lines that runs of a server directory wrote, so that no other is emptied.

A record for each path: which file it was, and how long it is at most. It is written before the
file grows, so that a file which is longer than its record says was written by somebody else, even
after a kill -9. A record that cannot be read or written only makes its file a foreign one.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from hypershell.access.private_files import make_private_directory

WRITTEN = "written"
"""The name of the directory of these records, in a server directory."""

_MAX_RECORD = 64 * 1024


class WrittenFiles:
    """The records of one server directory; None where there is no place for them."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = None if directory is None else directory / WRITTEN

    def length(self, path: bytes, status: os.stat_result) -> int | None:
        """How long the file that was written at this path may be; None if it is not that one."""
        if self._directory is None:
            return None
        try:
            with open(self._directory / _name(path), "rb") as file:
                record = json.loads(file.read(_MAX_RECORD))
            known = (os.fsencode(record["path"]), record["device"], record["inode"])
            length = int(record["length"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return length if known == (path, status.st_dev, status.st_ino) else None

    def record(self, path: bytes, status: os.stat_result) -> "WrittenFile":
        """The record of the file at this path, which a run is about to write."""
        descriptor = None
        if self._directory is not None:
            with suppress(OSError):
                make_private_directory(self._directory)
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(self._directory / _name(path), flags, 0o600)
        return WrittenFile(descriptor, path, status)


class WrittenFile:
    """The record of one file. Used by one thread at a time."""

    def __init__(self, descriptor: int | None, path: bytes, status: os.stat_result) -> None:
        self._descriptor = descriptor
        self._facts = {
            "path": os.fsdecode(path),
            "device": status.st_dev,
            "inode": status.st_ino,
        }

    def note(self, length: int) -> None:
        """The file may be as long as this from now on."""
        if self._descriptor is not None:
            data = json.dumps(self._facts | {"length": length}).encode()
            with suppress(OSError):
                # All of an older record is written over, in one step.
                size = os.fstat(self._descriptor).st_size
                os.pwrite(self._descriptor, data.ljust(size), 0)

    def close(self) -> None:
        """Nothing more is written."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _name(path: bytes) -> str:
    return hashlib.sha256(path).hexdigest()[:32]
