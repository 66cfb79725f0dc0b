"""The lock beside a SQLite database: of all that would write to it, one does, from any directory.

The server directory has a lock of its own; a database that is named may be shared by several of
them. It is a file beside the database, as SQLite loses its own locks on the database when any
descriptor of that is closed.
"""

import fcntl
import os
from pathlib import Path

from hypershell.core.errors import system_reason
from hypershell.runtime import clock
from hypershell.store.sql.errors import DatabaseTaken, DatabaseUnusable
from hypershell.store.sql.location import shown

_PATIENCE_SECONDS = 2.0
"""How long a short-lived verb may have it."""

_PAUSE_SECONDS = 0.02


class DatabaseLock:
    """Held until it is closed, or this process ends. DatabaseTaken, DatabaseUnusable."""

    def __init__(self, database: Path) -> None:
        path = os.path.realpath(database) + "-lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            reason = f"{shown(Path(path))}: {system_reason(error)}"
            raise DatabaseUnusable(where=shown(database), reason=reason) from error
        try:
            self._take(database)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, database: Path) -> None:
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if clock.monotonic() > deadline:
                    raise DatabaseTaken(where=shown(database)) from error
            except OSError as error:
                reason = f"it cannot be locked: {system_reason(error)}"
                raise DatabaseUnusable(where=shown(database), reason=reason) from error
            # flock knows no deadline.
            clock.sleep(_PAUSE_SECONDS)
