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
    RunMissing,
    RunsAmbiguous,
    ServerDied,
    ServerEnded,
    ServerOutOfReach,
    shown,
)
from hypershell.access.private_files import OTHERS, make_private_directory
from hypershell.core.environment import SERVER_DIR
from hypershell.core.errors import NoServer, StartError, system_reason
from hypershell.core.units import shown_time
from hypershell.runtime.mounts import lock_reaches_all
from hypershell.serverdir.held import LockedDirectory, discard_run
from hypershell.serverdir.holder import SERVER, Holder
from hypershell.serverdir.homes import (
    MAIN,
    MAIN_DATABASE,
    LiveRun,
    home_path,
    live_holder,
    live_runs,
    newest_named,
    newest_of_home,
)
from hypershell.serverdir.lock import DirectoryLock
from hypershell.serverdir.run_record import (
    ACCESS,
    CURRENT,
    Run,
    check_current,
    current_run,
    is_run_name,
    new_run_directory,
    runs_in,
)
from hypershell.serverdir.written_files import WRITTEN, WrittenFiles

_OTHERS_WRITE = 0o022
_OUR_NAMES = frozenset({ACCESS, CURRENT, WRITTEN, "lock", "claim"})


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
        raise DirectoryUnusable.because(named, error) from error


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

    def hold_home(
        self, home: str, verb: str = SERVER, server_uid: str = "", *, take_over: bool = False
    ) -> LockedDirectory:
        """The same of a home that is there, which may be the run directory of an earlier run."""
        if home == MAIN:
            return self.hold(verb, server_uid, take_over=take_over)
        return self._hold_run(home, verb, server_uid, take_over=take_over)

    def hold_new_home(self, server_uid: str) -> LockedDirectory:
        """Make the directory of the next run, as a home of its own; DirectoryUnusable.

        For a server that finds the server directory itself held.
        """
        self._prepare()
        try:
            path = new_run_directory(self.path)
        except OSError as error:
            raise DirectoryUnusable.because(self.path, error) from error
        try:
            return self._hold_run(path.name, SERVER, server_uid, is_new=True)
        except BaseException:
            discard_run(path)
            raise

    def _hold_run(
        self,
        home: str,
        verb: str,
        server_uid: str,
        *,
        take_over: bool = False,
        is_new: bool = False,
    ) -> LockedDirectory:
        path = home_path(self.path, home)
        lock = DirectoryLock(path, self._reaches)
        lock.take(verb, server_uid, 0.0, take_over, lambda: False)
        return LockedDirectory(self.path, lock, home, path if is_new else None)

    def of_home(self, home: str) -> "ServerDirectory":
        """The directory whose lock guards a home."""
        return ServerDirectory(home_path(self.path, home), self._reaches)

    def live_runs(self) -> list[LiveRun]:
        """The servers that live, or may live, in this directory."""
        return live_runs(self.path, self._reaches)

    def only_run(self) -> str:
        """The uid of the run that a command means which names none, "" if it is the current one.

        Where no server has the directory itself, it is the only one that lives; RunsAmbiguous if
        there are several.
        """
        holder = self.live_holder()
        if holder is not None and holder.verb == SERVER:
            return ""
        uids = [each.holder.server_uid for each in self.live_runs() if each.home != MAIN]
        if len(uids) > 1:
            raise RunsAmbiguous(path=shown(self.path), runs=", ".join(uids))
        return uids[0] if uids else ""

    def run_named(self, uid: str) -> Run:
        """The newest run of this uid; RunMissing."""
        try:
            run = newest_named(runs_in(self.path), uid)
        except OSError as error:
            raise self._unreadable(error) from error
        if run is None:
            raise RunMissing(uid=uid, path=shown(self.path))
        return run

    def find_access(self, uid: str = "", home: str | None = None) -> Path:
        """The access file by which a client finds the server: that of the current run, or of the
        only one that lives, or the one that lies in the directory by itself, where there is no
        shared file system. With a `uid`, that of the server which has the database of this run;
        with a `home`, that of the last one there.

        It may belong to a server that died. Raises `why_no_server()` if there is none.
        """
        if home is None and uid:
            return self._access_of(uid)
        if home:
            return self._access_in(home)
        run = current_run(self.path)
        try:
            for path in (self.path / CURRENT / ACCESS, self.path / ACCESS):
                is_over = path.parent != self.path and run is not None and run.ended_cleanly
                if path.exists() and not is_over:
                    return path
            os.stat(self.path)
            if home is None and (only := self.only_run()):
                return self._access_of(only)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise self._unreadable(error) from error
        raise self.why_no_server()

    def _access_in(self, home: str) -> Path:
        run = newest_of_home(self.path, home)
        if run is None or run.ended_cleanly:
            raise self.why_no_server()
        return run.access_path

    def _access_of(self, uid: str) -> Path:
        run = self.run_named(uid)
        for each in self.live_runs():
            if run.record and each.home == run.record.home and each.run is not None:
                return each.run.access_path
        if run.ended_cleanly:
            raise self.why_no_server(uid)
        return run.access_path

    def why_no_server(self, uid: str = "") -> NoServer:
        """The error when no server answers: never started, ended, died, or out of reach.

        With a `uid`, of the server which has the database of this run; RunMissing.
        """
        facts = self._commands()
        run = self.run_named(uid) if uid else self.last_run()
        home = run.record.home if uid and run is not None and run.record else MAIN
        holder = live_holder(home_path(self.path, home), self._reaches)
        if holder is not None and holder.verb == SERVER:
            return ServerOutOfReach(holder=holder, host=holder.host, **facts)
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
        return live_holder(self.path, self._reaches)

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
            raise DirectoryUnusable.because(self.path, error) from error

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
            if name in _OUR_NAMES or name.startswith(MAIN_DATABASE) or is_run_name(name):
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
        what, path = "server directory", shown(self.path)
        return FileUnreadable(what=what, path=path, reason=system_reason(error))
