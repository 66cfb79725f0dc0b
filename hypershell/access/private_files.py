"""Files that nobody but their owner can read, complete from the instant they have their name.

A file is written under a temporary name, synced, and only then linked or moved to its place: a
reader, a racing writer or a power cut finds all of it or none.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypershell.access.errors import FileExposed, FileForeign, FileUnreadable, shown
from hypershell.core.errors import system_reason

OTHERS = 0o077
"""Mode bits that give someone besides the owner anything."""

_KINDS = {
    stat.S_IFDIR: "it is a directory",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


def read_private(path: Path, what: str, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes that is ours alone; never blocks on it.

    Links are followed, as users keep such files elsewhere and link to them: what counts is the
    owner and mode of the file that was opened, and a link planted by others can lead only to
    another file that passes the same checks.

    FileNotFoundError and NotADirectoryError are left to the caller, which knows what a missing
    file means. Everything else is FileUnreadable, FileForeign or FileExposed.
    """
    try:
        # Looked at before it is opened: opening alone can rewind a tape or wake a pipe's writer.
        check_private(os.stat(path), path, what, limit)
        # And it may be replaced in between, so that the descriptor must not block either.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with open(os.open(path, flags), "rb", buffering=0) as file:
            check_private(os.fstat(file.fileno()), path, what, limit)
            return _read_up_to(file.fileno(), path, what, limit)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise FileUnreadable(what=what, path=shown(path), reason=system_reason(error)) from error


def check_private(status: os.stat_result, path: Path, what: str, limit: int) -> None:
    """Raise unless this is a regular file of ours, closed to others and not too large."""
    if not stat.S_ISREG(status.st_mode):
        reason = _KINDS.get(stat.S_IFMT(status.st_mode), "it is not a regular file")
        raise FileUnreadable(what=what, path=shown(path), reason=reason)
    if status.st_uid != os.geteuid():
        raise FileForeign(what=what, path=shown(path), owner=status.st_uid)
    mode = stat.S_IMODE(status.st_mode)
    if mode & OTHERS:
        raise FileExposed(what=what, path=shown(path), mode=mode)
    if status.st_size > limit:
        raise _too_large(path, what, limit)


def _read_up_to(descriptor: int, path: Path, what: str, limit: int) -> bytes:
    """All that is in the file; it may have grown since it was checked."""
    parts = []
    remaining = limit + 1
    while remaining and (part := os.read(descriptor, remaining)):
        parts.append(part)
        remaining -= len(part)
    if not remaining:
        raise _too_large(path, what, limit)
    return b"".join(parts)


def _too_large(path: Path, what: str, limit: int) -> FileUnreadable:
    reason = f"it is larger than {limit} bytes"
    return FileUnreadable(what=what, path=shown(path), reason=reason)


def create_private(path: Path, data: bytes, mode: int) -> bool:
    """Put a new file at `path`, durably; False if that name is taken, which is then untouched.

    Of any number of racing callers, on any number of hosts, one gets True. OSError is raised
    leaving nothing on the disk.
    """
    with _temporary(path, data, mode) as (temporary, descriptor):
        try:
            os.link(temporary, path, follow_symlinks=False)
        except OSError as error:
            # An NFS server may have done it and lost its answer: the name tells, not the errno.
            if not _is_at(path, descriptor):
                if error.errno == errno.EEXIST:
                    return False
                raise
    sync_directory(path.parent)
    return True


def replace_private(path: Path, data: bytes, mode: int) -> None:
    """Put a file at `path` in place of whatever file is there, durably and in one step."""
    with _temporary(path, data, mode) as (temporary, _):
        os.replace(temporary, path)
    sync_directory(path.parent)


def replace_link(path: Path, target: str) -> None:
    """Make `path` a link to `target` in place of what is there, durably and in one step."""
    temporary = _temporary_name(path)
    os.symlink(target, temporary)
    try:
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            os.unlink(temporary)
    sync_directory(path.parent)


def make_private_directory(path: Path) -> None:
    """Make a directory, and what is missing above it, that only this user can enter.

    Nothing is said about directories that are there already.
    """
    for folder in reversed([path, *path.parents]):
        with suppress(FileExistsError):
            if not folder.exists():
                os.mkdir(folder, 0o700)
                os.chmod(folder, 0o700)  # a umask may have taken the owner's own bits
                sync_directory(folder.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut, where one may ask for it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # one may write into a directory without being allowed to read it
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have nothing to sync, and say so.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _temporary(path: Path, data: bytes, mode: int) -> Iterator[tuple[Path, int]]:
    """A complete and synced file beside `path`, gone afterwards."""
    temporary = _temporary_name(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        os.fchmod(descriptor, mode)  # a umask may have taken the owner's own bits
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        yield temporary, descriptor
    finally:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(temporary)


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".hyper-shell-{secrets.token_hex(8)}")


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether that name leads to the file that this descriptor has open."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False
