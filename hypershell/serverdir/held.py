"""What the holder of a home may do: its run's directory, access file and record."""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from hypershell import __version__
from hypershell.access.access_file import write, write_copy
from hypershell.access.endpoints import FULL, Access
from hypershell.access.errors import DirectoryUnusable
from hypershell.access.seal import Seal
from hypershell.runtime import clock
from hypershell.serverdir.holder import this_host
from hypershell.serverdir.homes import (
    MAIN,
    RUN_DATABASE,
    database_path,
    home_path,
    newest_of_home,
)
from hypershell.serverdir.lock import DirectoryLock
from hypershell.serverdir.pruning import Unfinished, prune_runs
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
    """A home in a server directory that is ours until this is released, or the process ends.

    `path` is the server directory, `home` the name of the home. A home that was made for this run
    is its run directory, `reserved`.
    """

    def __init__(
        self, path: Path, lock: DirectoryLock, home: str = MAIN, reserved: Path | None = None
    ) -> None:
        self.path = path
        self.home = home
        self._lock = lock
        self._reserved = reserved

    def __enter__(self) -> "LockedDirectory":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def home_path(self) -> Path:
        """The directory of the home."""
        return home_path(self.path, self.home)

    @property
    def database_path(self) -> Path:
        """Where the task database of the home is, unless another is named."""
        return database_path(self.path, self.home)

    def release(self) -> None:
        """Free the home. A run that was not ended by now counts as died."""
        if self._reserved is not None:
            if self._reserved != self.home_path:
                discard_run(self._reserved)
            elif not (self._reserved / RUN_DATABASE).exists():
                self._lock.release()
                discard_run(self._reserved)
            self._reserved = None
        self._lock.release()

    def predecessor(self) -> Run | None:
        """The last run of this home, if its server died: its keys and ports are to be taken over.

        Its clients may have lived through the crash and look for them. A clean end leaves none.
        """
        is_main = self.home == MAIN
        run = current_run(self.path) if is_main else newest_of_home(self.path, self.home)
        return None if run is None or run.ended_cleanly else run

    def place(self) -> int:
        """The number of this run, by which starts are ordered: its directory is made now."""
        if self._reserved is None:
            try:
                self._reserved = new_run_directory(self.path)
            except OSError as error:
                raise DirectoryUnusable.because(self.path, error) from error
        return int(self._reserved.name)

    def start_run(
        self,
        access: Access,
        seal: Seal | bytes,
        *,
        started: float | None = None,
        input_digest: str = "",
        in_memory: bool = False,
    ) -> Run:
        """Fill the run's directory with its access file and record, and publish it.

        `access` opens both planes, where the server now listens. `seal` closes the file, or is the
        whole file as somebody made it beforehand. A failure leaves the current run as it is:
        DirectoryUnusable, or AccessFileUnwritable. The last two are for the record.
        """
        try:
            record = replace(
                _record(access, clock.wall() if started is None else started),
                home=self.home,
                input=input_digest,
                in_memory=in_memory,
            )
            self.place()
            assert self._reserved is not None
            run = Run(self._reserved, record)
            if isinstance(seal, bytes):
                write_copy(run.access_path, seal)
            else:
                write(run.access_path, access, seal)
            write_record(run.path, record)
            if self.home == MAIN:
                run.publish()
        except BaseException as error:
            is_ours = self._reserved in (None, self.home_path)  # with a database in it
            is_out = self._reserved and self._reserved.name == linked_name(self.path / CURRENT)
            if self._reserved is not None and not is_ours and not is_out:
                discard_run(self._reserved)
                self._reserved = None
            if isinstance(error, OSError):
                raise DirectoryUnusable.because(self.path, error) from error
            raise
        self._reserved = None
        return run

    def prune(self, keep: int, unfinished: Unfinished) -> list[str]:
        """Remove old runs that nobody needs, but for the newest `keep`; the names of those gone.

        It is for the holder of the server directory: any other removes nothing.
        """
        try:
            return prune_runs(self.path, keep, unfinished) if self.home == MAIN else []
        except OSError as error:
            raise DirectoryUnusable.because(self.path, error) from error


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


def discard_run(path: Path) -> None:
    """Remove a run's directory that was not published, as far as that goes."""
    with suppress(OSError):
        for entry in path.iterdir():
            entry.unlink()
        path.rmdir()
