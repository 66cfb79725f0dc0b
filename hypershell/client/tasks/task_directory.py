"""The working directory of this process, which is that of the next task: posix_spawn has none.

The executor's thread alone moves it, and only where a task wants another than the one before. So
nothing else in a client may depend on it: every path that a client opens is absolute, from before
its first task (`ServerLocation.rooted`, and what is opened by then stays open).
"""

import errno
import os

from hypershell.core.setting_values import CLIENT_CWD
from hypershell.runtime.working_directory import working_directory

_FRESH_SECONDS = 1.0
"""How long a directory is taken to be what its path names: one may be removed and made again."""

_OPEN_FLAGS = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)


class DirectoryRefused(OSError):
    """The directory of a task cannot be entered; where this process is has not changed."""

    @property
    def reason(self) -> str:
        """Why, in a few words."""
        if self.errno == errno.ENOENT:
            return "no such directory"
        return (self.strerror or str(self.errno)).lower()


class TaskDirectory:
    """Belongs to one thread. `path` of the directory in which the client was started may be None:
    it was removed.
    """

    def __init__(self) -> None:
        self._own: int | None = None
        self._own_path: bytes | None = None
        try:
            self._own = os.open(".", _OPEN_FLAGS)
            self._own_path = working_directory()
        except OSError:
            pass  # a task that is to run here runs where we are, as long as we stay here
        self._entered = CLIENT_CWD
        self._path = self._own_path
        self._stale_at = float("inf")

    def enter(self, cwd: str | None, now: float) -> bytes | None:
        """Enter the directory of a task; PWD there, None if it has no path. DirectoryRefused.

        `now` is monotonic time in seconds. Without a `cwd` it is the client's own.
        """
        wanted = cwd or CLIENT_CWD
        if wanted != self._entered or now >= self._stale_at:
            self._change(wanted, now)
        return self._path

    def _change(self, wanted: str, now: float) -> None:
        self._stale_at = now  # unless it succeeds, the next task looks again
        try:
            if wanted != CLIENT_CWD:
                os.chdir(wanted)
                self._path, self._stale_at = os.fsencode(wanted), now + _FRESH_SECONDS
            elif self._own is not None:
                os.fchdir(self._own)
                self._path, self._stale_at = self._own_path, float("inf")
            elif self._entered != CLIENT_CWD:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        except OSError as error:
            raise DirectoryRefused(error.errno, error.strerror) from error
        self._entered = wanted
