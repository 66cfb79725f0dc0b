"""What the holder of a server directory may do in it."""

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from hypershell import __version__
from hypershell.access.access_file import write
from hypershell.access.endpoints import FULL, Access
from hypershell.access.errors import DirectoryUnusable, cause, shown
from hypershell.access.seal import Seal
from hypershell.runtime import clock
from hypershell.serverdir.holder import this_host
from hypershell.serverdir.lock import DirectoryLock
from hypershell.serverdir.run_record import (
    CURRENT,
    Run,
    ServerRecord,
    current_run,
    linked_name,
    new_run_directory,
    write_record,
)


class LockedDirectory:
    """A server directory that is ours until this is released, or the process ends."""

    def __init__(self, path: Path, lock: DirectoryLock) -> None:
        self.path = path
        self._lock = lock

    def __enter__(self) -> "LockedDirectory":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Free the directory. A run that was not ended by now counts as died."""
        self._lock.release()

    def predecessor(self) -> Run | None:
        """The current run, if its server died: its keys and ports are to be taken over.

        Its clients may have lived through the crash and look for them. A clean end leaves none.
        """
        run = current_run(self.path)
        return None if run is None or run.ended_cleanly else run

    def start_run(self, access: Access, seal: Seal, *, started: float | None = None) -> Run:
        """Make the next run's directory with its access file and record, and publish it.

        `access` opens both planes, where the server now listens. A failure leaves the current
        run as it is: DirectoryUnusable, or AccessFileUnwritable.
        """
        path: Path | None = None
        try:
            path = new_run_directory(self.path)
            run = Run(path, _record(access, clock.wall() if started is None else started))
            write(run.access_path, access, seal)
            assert run.record is not None
            write_record(path, run.record)
            run.publish()
        except BaseException as error:
            if path is not None and linked_name(path.parent / CURRENT) != path.name:
                _discard(path)
            if isinstance(error, OSError):
                raise DirectoryUnusable(path=shown(self.path), reason=cause(error)) from error
            raise
        return run


def _record(access: Access, started: float) -> ServerRecord:
    """The record of this process as the server that `access` opens."""
    if access.worker is None or access.client is None:
        raise ValueError(f"a run needs a {FULL} access file")
    return ServerRecord(
        server_uid=access.server_uid,
        pid=os.getpid(),
        host=this_host(),
        user_id=os.geteuid(),
        version=__version__,
        started=started,
        worker_host=access.worker.host,
        worker_port=access.worker.port,
        client_host=access.client.host,
        client_port=access.client.port,
    )


def _discard(path: Path) -> None:
    """Remove a run's directory that was not published, as far as that goes."""
    with suppress(OSError):
        for entry in path.iterdir():
            entry.unlink()
        path.rmdir()
