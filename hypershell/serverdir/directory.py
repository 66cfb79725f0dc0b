"""The server directory: where a server is found, which one has it, and what the last one left."""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from hypershell.access.errors import (
    DirectoryExposed,
    DirectoryForeign,
    DirectoryOpen,
    DirectoryUnusable,
    FileUnreadable,
    NeverStarted,
    NoHome,
    ServerDied,
    ServerEnded,
    ServerOutOfReach,
    cause,
    shown,
)
from hypershell.access.private_files import OTHERS, make_private_directory
from hypershell.core.environment import SERVER_DIR
from hypershell.core.errors import NoServer, StartError
from hypershell.runtime.mounts import lock_reaches_all
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.holder import SERVER, Fate, Holder
from hypershell.serverdir.lock import DirectoryLock
from hypershell.serverdir.run_record import (
    ACCESS,
    CURRENT,
    Run,
    check_current,
    current_run,
    is_run_name,
    runs_in,
    shown_time,
)
from hypershell.serverdir.written_files import WRITTEN, WrittenFiles

_OTHERS_WRITE = 0o022
_OUR_NAMES = frozenset({ACCESS, CURRENT, WRITTEN, "lock", "claim"})
_DATABASE = "hyper-shell.db"


def server_directory(option: str | None, environ: Mapping[str, str]) -> "ServerDirectory":
    """The directory that `--server-dir`, HYPERSHELL_SERVER_DIR or the default names.

    It need not be there. NoHome where the default is wanted and HOME says nothing.
    """
    home = None
    named = environ.get(SERVER_DIR, "") if option is None else option
    if option is None and not named:
        home = _home(environ)
        named = os.path.join(home, ".hyper-shell")
    if not named:
        raise DirectoryUnusable(path="''", reason="the name is empty")
    if named.split(os.sep)[0] == "~":  # as in --server-dir=~/farm, which a shell leaves alone
        home = _home(environ)
        named = home + named[1:]
    try:
        return ServerDirectory(Path(named).absolute(), home=home)
    except OSError as error:  # the working directory was removed
        raise DirectoryUnusable(path=shown(named), reason=cause(error)) from error


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        raise _no_home()
    return home


def _no_home() -> NoHome:
    instead = "name a directory with --server-dir DIR or HYPERSHELL_SERVER_DIR"
    return NoHome(wanted="the server directory", instead=instead)


class ServerDirectory:
    """One server directory; `path` is absolute.

    `reaches` tells of a directory whether every machine that sees it sees locks in it as well.
    It is made where it is missing, but the `home` that it was named by is not.
    """

    def __init__(
        self,
        path: Path,
        reaches: Callable[[Path], bool] = lock_reaches_all,
        home: str | None = None,
    ) -> None:
        self.path = path
        self._reaches = reaches
        self._home = home

    def hold(
        self,
        verb: str = SERVER,
        server_uid: str = "",
        *,
        wait_seconds: float = 10.0,
        take_over: bool = False,
        answers: Callable[[Run], bool] | None = None,
    ) -> LockedDirectory:
        """Make the directory if need be, and take its lock for a server or a short-lived verb.

        Waits up to `wait_seconds` for another short-lived verb, not for a server. Where the last
        holder is on a machine that the lock may not reach, `answers` is asked whether the server
        of its run still answers; `take_over` gives one up that does not.

        Every failure is a StartError: DirectoryLocked, DirectoryBusy, DirectoryClaimed,
        CurrentBlocked, DirectoryUnusable and what derives from it.
        """
        self._prepare()
        lock = DirectoryLock(self.path, self._reaches)
        lock.take(verb, server_uid, wait_seconds, take_over, lambda: self._ask(answers))
        try:
            check_current(self.path)
        except BaseException:
            lock.release()
            raise
        return LockedDirectory(self.path, lock)

    def written_files(self) -> WrittenFiles:
        """The files of failed lines that runs of this directory wrote.

        Makes the directory if need be; where it cannot be used, no file is known.
        """
        try:
            self._prepare()
        except StartError:
            return WrittenFiles(None)
        return WrittenFiles(self.path)

    def find_access(self) -> Path:
        """The access file by which a client finds the server: that of the current run, or the
        one that lies in the directory by itself, where there is no shared file system.

        It may belong to a server that died. Raises `why_no_server()` if there is none.
        """
        run = current_run(self.path)
        try:
            for path in (self.path / CURRENT / ACCESS, self.path / ACCESS):
                is_over = path.parent != self.path and run is not None and run.ended_cleanly
                if path.exists() and not is_over:
                    return path
            os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise self._unreadable(error) from error
        raise self.why_no_server()

    def why_no_server(self) -> NoServer:
        """The error when no server answers: never started, ended, died, or out of reach."""
        facts = self._commands()
        holder = self.live_holder()
        if holder is not None and holder.verb == SERVER:
            return ServerOutOfReach(holder=holder, host=holder.host, **facts)
        run = self.last_run()
        if run is None or run.record is None:
            return NeverStarted(**facts)
        record = run.record
        if record.ended is not None:
            when = shown_time(record.ended)
            return ServerEnded(uid=record.server_uid, when=when, reason=record.reason, **facts)
        who = f"{record.server_uid}, pid {record.pid} on {record.host}"
        return ServerDied(holder=who, when=shown_time(record.started), **facts)

    def live_holder(self) -> Holder | None:
        """Who has the directory now, or may have it if that cannot be checked from here."""
        lock = DirectoryLock(self.path, self._reaches)
        is_free = lock.is_free()
        holder = lock.holder()
        if holder is not None and is_free and lock.fate_of(holder) is Fate.GONE:
            return None
        return holder

    def last_run(self) -> Run | None:
        """The run that the link names, else the latest that came to be published."""
        run = current_run(self.path)
        if run is not None and run.record is not None:
            return run
        try:
            return next((run for run in reversed(runs_in(self.path)) if run.record), None)
        except OSError as error:
            raise self._unreadable(error) from error

    def _ask(self, answers: Callable[[Run], bool] | None) -> bool:
        """Whether the server of the current run says that it is there."""
        run = current_run(self.path)
        return answers is not None and run is not None and answers(run)

    def _prepare(self) -> None:
        """Make the directory, or see that nobody else can plant anything in it."""
        if self._home is not None and not os.path.isdir(self._home):
            # A mistake, or the HOME of an account that has none: root could make it.
            raise _no_home()
        try:
            self._check_link()
            make_private_directory(self.path)
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._check_owner_and_mode(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._unusable(error) from error

    def _check_link(self) -> None:
        """A link to the directory may be ours, or the administrator's; others can move theirs."""
        if self.path.is_symlink():
            owner = os.lstat(self.path).st_uid
            if owner not in (0, os.geteuid()):
                raise DirectoryForeign(path=shown(self.path), owner=owner)
            if not self.path.exists():
                reason = "it is a broken link"
                raise DirectoryUnusable(path=shown(self.path), reason=reason)

    def _check_owner_and_mode(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise DirectoryForeign(path=shown(self.path), owner=status.st_uid)
        mode = stat.S_IMODE(status.st_mode)
        if mode & OTHERS and not os.listdir(descriptor):
            # Somebody made it for something; its rights are not ours to change.
            raise DirectoryOpen(path=shown(self.path), mode=mode)
        if mode & _OTHERS_WRITE:
            raise DirectoryExposed(path=shown(self.path), mode=mode)
        self._check_entries(descriptor)

    def _check_entries(self, descriptor: int) -> None:
        """See that nothing was planted under the names that we use while others could write."""
        for name in os.listdir(descriptor):
            if name in _OUR_NAMES or name.startswith(_DATABASE) or is_run_name(name):
                with suppress(FileNotFoundError):
                    owner = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_uid
                    if owner != os.geteuid():
                        raise DirectoryForeign(path=shown(self.path / name), owner=owner)

    def _commands(self) -> dict[str, str]:
        """What the hints say to do next."""
        place = shown(self.path)
        return {
            "path": place,
            "start": f"hyper-shell server FILE --server-dir {place}",
            "restart": f"hyper-shell server --restart --server-dir {place}",
            "info": f"hyper-shell server info --server-dir {place}",
        }

    def _unreadable(self, error: OSError) -> FileUnreadable:
        return FileUnreadable(what="server directory", path=shown(self.path), reason=cause(error))

    def _unusable(self, error: OSError) -> DirectoryUnusable:
        """The error for a failed operation in the directory."""
        return DirectoryUnusable(path=shown(self.path), reason=cause(error))
