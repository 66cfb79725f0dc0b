"""The lock of a server directory: of any number of takers, on any schedule, one has it.

Two things make it. The kernel's lock (flock) on the file `lock` goes with the process that has
it, however that ends. Beside it stands the file `claim`, made by linking, which says who the
holder is, and which also excludes other machines where the kernel's lock is not seen by them.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypershell.access.errors import (
    DirectoryBusy,
    DirectoryClaimed,
    DirectoryLocked,
    DirectoryUnusable,
    shown,
)
from hypershell.access.private_files import create_private, read_private
from hypershell.core.errors import HyperShellError, system_reason
from hypershell.runtime import clock
from hypershell.runtime.mounts import lock_reaches_all
from hypershell.serverdir.holder import (
    SERVER,
    Fate,
    Holder,
    fate,
    holder_from,
    is_alive_here,
    this_process,
)

_GRACE_SECONDS = 3.0
"""Seconds that a holder may take to write its record. Readers hold the lock briefly too."""

_PAUSE_SECONDS = 0.01
LOCK = "lock"
"""The file that the kernel's lock is on."""

_LARGEST_CLAIM = 16 * 1024


class DirectoryLock:
    """The lock of one directory, free or taken by this process or by others."""

    def __init__(self, directory: Path, reaches: Callable[[Path], bool] = lock_reaches_all) -> None:
        self.directory = directory
        self._reaches = reaches
        self._lock = directory / LOCK
        self._claim = directory / "claim"
        self._descriptor: int | None = None
        self._mine: Holder | None = None

    def take(
        self,
        verb: str,
        server_uid: str,
        wait_seconds: float,
        take_over: bool,
        answers: Callable[[], bool],
    ) -> None:
        """Take the lock, waiting up to `wait_seconds` for a short-lived verb that has it.

        A holder on another machine that the lock may not reach is asked by `answers`, and is
        given up for gone only with `take_over`. Raises DirectoryLocked, DirectoryBusy,
        DirectoryClaimed or DirectoryUnusable, with nothing held.
        """
        mine = this_process(verb, server_uid)
        descriptor = self._take_kernel_lock(mine, wait_seconds)
        try:
            self._take_claim(mine, take_over, answers)
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(system_reason(error)) from error
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._mine = descriptor, mine
        # A fork shares the lock, and would keep it after the death of its holder.
        os.register_at_fork(after_in_child=self.release)

    def release(self) -> None:
        """Give the lock back. In a fork of the holder it closes the fork's copy and no more."""
        if self._descriptor is None or self._mine is None:
            return
        if self._mine.pid == os.getpid():
            with suppress(OSError):
                # Who took the directory over keeps its claim.
                if self.holder() == self._mine:
                    self._claim.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def holder(self) -> Holder | None:
        """Who holds the directory, or did; None if nobody says so. It may be long dead."""
        try:
            return holder_from(read_private(self._claim, "claim", _LARGEST_CLAIM))
        except (OSError, HyperShellError):
            return None

    def is_free(self) -> bool:
        """Whether no live process here, or wherever the lock reaches, has the lock.

        Looking takes the lock for an instant; takers are patient enough not to notice.
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._lock, flags)
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return True

    def fate_of(self, holder: Holder) -> Fate:
        """What became of a holder, asked while the lock is free."""
        return fate(holder, this_process(""), self._reaches(self.directory))

    def _take_kernel_lock(self, mine: Holder, wait_seconds: float) -> int:
        """A descriptor that holds the lock."""
        began = clock.monotonic()
        while True:
            descriptor = self._try_kernel_lock()
            if descriptor is not None:
                return descriptor
            holder = self.holder()
            if clock.monotonic() - began >= _patience(holder, mine, wait_seconds):
                if holder is None or holder.verb == SERVER:
                    raise self._locked(holder)
                raise DirectoryBusy(path=shown(self.directory), holder=holder)
            # flock knows no deadline.
            clock.sleep(_PAUSE_SECONDS)

    def _try_kernel_lock(self) -> int | None:
        """A descriptor that holds the lock; None if another has it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._lock, flags, 0o600)
        except OSError as error:
            raise self._unusable(f"{self._lock.name}: {system_reason(error)}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._unusable(f"{self._lock.name} in it is not a regular file")
            os.fchmod(descriptor, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.lstat(self._lock)):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass  # taken, or removed since it was opened
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(_why_no_lock(error)) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def _take_claim(self, mine: Holder, take_over: bool, answers: Callable[[], bool]) -> None:
        """Write our owner record over that of a dead holder. The caller holds the kernel's lock."""
        while not create_private(self._claim, mine.to_bytes(), 0o400):
            other = self.holder()
            if other is None and not os.path.lexists(self._claim):
                continue  # its owner removed it meanwhile
            self._check_gone(other, mine, take_over, answers)
            if self.holder() == other:
                self._claim.unlink(missing_ok=True)

    def _check_gone(
        self, other: Holder | None, mine: Holder, take_over: bool, answers: Callable[[], bool]
    ) -> None:
        """Raise unless the holder before us is gone, as far as that can be known."""
        # A claim that cannot be read may be anybody's.
        known = Fate.UNKNOWN if other is None else fate(other, mine, lock_reaches=False)
        if known is Fate.ALIVE or (known is Fate.UNKNOWN and answers()):
            raise self._locked(other)
        is_gone = known is Fate.GONE or self._reaches(self.directory)
        if not is_gone and not take_over:
            raise DirectoryClaimed(
                path=shown(self.directory),
                holder=other or "its owner record cannot be read",
                stop=stop_command(self.directory),
            )

    def _locked(self, holder: Holder | None) -> DirectoryLocked:
        return DirectoryLocked(
            path=shown(self.directory),
            holder=holder or "its owner is unknown",
            stop=stop_command(self.directory),
        )

    def _unusable(self, reason: str) -> DirectoryUnusable:
        return DirectoryUnusable(path=shown(self.directory), reason=reason)


def _patience(holder: Holder | None, mine: Holder, wait_seconds: float) -> float:
    """How long to wait for a lock that another has, in seconds.

    A record may be missing for the moment, or be that of a dead holder whose successor has the
    lock and not yet written its own: then it is about to change.
    """
    is_known = holder is not None and is_alive_here(holder, mine)
    grace = 0.0 if is_known else _GRACE_SECONDS
    stays = holder is None or holder.verb == SERVER
    return grace if stays else max(wait_seconds, grace)


def stop_command(directory: Path) -> str:
    """The command that stops the server of a directory."""
    return f"hyper-shell server stop --server-dir {shown(directory)}"


def _why_no_lock(error: OSError) -> str:
    if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL):
        return f"its file system cannot lock files ({system_reason(error)})"
    return system_reason(error)
