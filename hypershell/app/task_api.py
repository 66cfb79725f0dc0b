"""Tells of tasks and changes them, through the server or in the task database itself.

While a server lives in the directory, only the server is asked. If none does and the directory has
a task database, that is read, or changed under the directory's lock.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hypershell.access.errors import RunMissing
from hypershell.app.homes import database_with_run, idle_database, is_live, main_database
from hypershell.app.locate import PATIENCE_SECONDS, ServerLocation, connect
from hypershell.core.errors import (
    ClientUnknown,
    HyperShellError,
    NoServer,
    RequestRefused,
    SelectionUnknown,
    ServerHungUp,
    ServerLeft,
    ServerStalled,
    ServerUnable,
    TasksNotKept,
    UsageError,
)
from hypershell.core.query.selection import Changed, Selection
from hypershell.core.run_name import ALL_RUNS, LAST_RUN
from hypershell.serverdir.directory import ServerDirectory, server_directory
from hypershell.wire.client_plane import ClientPlaneProxy
from hypershell.wire.codec import WireError
from hypershell.wire.refusal import CallRefused, ErrorKind

if TYPE_CHECKING:
    from hypershell.core.submission import SubmitOptions
    from hypershell.store.sql.offline import Offline
    from hypershell.store.sql.queries import Queries

T = TypeVar("T")

_LOCK_SECONDS = 10.0


class TaskApi(Protocol):
    """The requests about tasks. Each raises errors for the user; see `ClientPlaneProxy`."""

    def count(self, selection: Selection) -> int:
        """Count the tasks of a selection."""

    def rows(
        self, selection: Selection, fields: list[str], after: int, limit: int
    ) -> tuple[list[list[Any]], int]:
        """Fields of tasks after an id, and the last id of them, 0 if there are no more."""

    def task(self, task_id: int) -> dict[str, Any] | None:
        """All of a task."""

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """Failed tasks by cause."""

    def explain(self, task_ids: list[int]) -> dict[int, list[str]]:
        """Why tasks are not running."""

    def wait(self, selection: Selection, seconds: float) -> dict[str, Any]:
        """How many are unfinished and bad, and whether that is the end of it."""

    def cancel(self, selection: Selection) -> Changed:
        """Cancel tasks."""

    def retry(self, selection: Selection) -> Changed:
        """Let them wait again."""

    def delete(self, selection: Selection) -> Changed:
        """Forget them."""


@dataclass(frozen=True, slots=True)
class TaskSource:
    """Where the tasks are: at a server, or in a task database, if its URL is given.

    `verb` is the command, for errors and for the owner record of the directory's lock. `ids` are
    tasks that it names. One that `adds` tasks adds them to the directory's own database. The
    location's run may be ALL_RUNS: the tasks are then those of all servers and databases.
    """

    location: ServerLocation
    database_url: str | None
    verb: str
    ids: tuple[int, ...] = ()
    adds: bool = False


def open_task_api(source: TaskSource, patience: float = PATIENCE_SECONDS) -> TaskApi:
    """The server, or the database of a directory without one; NoServer, StartError, Refused.

    A server that does not answer is waited for, for so many seconds.
    SelectionUnknown if there is no such run; IdsAmbiguous and RunsAmbiguous if one must be named.
    """
    verb, location = source.verb, source.location
    if source.database_url is not None:
        directory = location.directory() or server_directory(None, os.environ)
        return LocalTasks(source.database_url, directory, verb)
    if location.run == ALL_RUNS:
        from hypershell.app.many_tasks import open_all_tasks

        return open_all_tasks(replace(location, run=""), verb)
    try:
        return open_remote_tasks(location, verb, patience)
    except NoServer as error:
        found = _tasks_without_server(source, error)
        if found is None:
            raise error
        return found


def check_cause(api: TaskApi, selection: Selection) -> None:
    """UsageError for a selection by a cause that no failed task has."""
    if selection.cause and not api.failures(Selection(cause=selection.cause)):
        hint = "`hyper-shell failures` shows the causes"
        raise UsageError(f"no failed task has cause {selection.cause}", hint=hint)


def open_remote_tasks(
    location: ServerLocation, verb: str, patience: float = PATIENCE_SECONDS
) -> "RemoteTasks":
    """The server at a location; NoServer, Refused."""
    proxy = connect(location, f"hyper-shell {verb}", patience)

    def is_there() -> bool:
        directory = location.directory()
        live = [] if directory is None else directory.live_runs()
        return any(each.holder.server_uid == proxy.server_uid for each in live)

    return RemoteTasks(proxy, verb, is_there)


def _tasks_without_server(source: TaskSource, error: NoServer) -> TaskApi | None:
    """The task database that is meant, if no server lives that has it; None if there is none."""
    location, verb = source.location, source.verb
    directory = location.directory()
    if directory is None:
        return None
    if not location.run:
        if is_live(directory):
            return None  # it cannot be reached
        found = main_database(directory) if source.adds else None
        found = found or idle_database(directory, source.ids)
        return None if found is None else LocalTasks(found.url, found.directory, verb)
    found = database_with_run(directory, location.run)
    if not is_live(found.directory):
        return LocalTasks(found.url, found.directory, verb)
    # Another run has this one's database; which, its own directory tells, unless that was removed.
    is_known = not isinstance(error, RunMissing)
    return None if is_known else open_remote_tasks(replace(location, home=found.home), verb)


class RemoteTasks:
    """The tasks of a server; raises refusals and the end of the server as errors for a user.

    `is_there` says whether a server that hung up is known to live.
    """

    def __init__(
        self, proxy: ClientPlaneProxy, verb: str, is_there: Callable[[], bool] = lambda: False
    ) -> None:
        self.proxy = proxy
        self._verb = verb
        self._is_there = is_there

    def count(self, selection: Selection) -> int:
        """As `ClientPlaneProxy` says, here and below."""
        return self._ask(lambda: self.proxy.count(selection))

    def rows(
        self, selection: Selection, fields: list[str], after: int, limit: int
    ) -> tuple[list[list[Any]], int]:
        """Rows of tasks."""
        return self._ask(lambda: self.proxy.rows(selection, fields, after, limit))

    def task(self, task_id: int) -> dict[str, Any] | None:
        """One task."""
        return self._ask(lambda: self.proxy.task(task_id))

    def output(self, task_id: int) -> tuple[bytes, bytes] | None:
        """What a task printed."""
        return self._ask(lambda: self.proxy.output(task_id))

    def explain(self, task_ids: list[int]) -> dict[int, list[str]]:
        """Why tasks are not running."""
        return self._ask(lambda: self.proxy.explain(task_ids))

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """Causes."""
        return self._ask(lambda: self.proxy.failures(selection))

    def wait(self, selection: Selection, seconds: float) -> dict[str, Any]:
        """Wait for so long."""
        return self._ask(lambda: self.proxy.wait(selection, seconds))

    def submit(self, lines: list[bytes], submit_options: "SubmitOptions") -> list[int]:
        """Submit; no ids if the server has no capacity."""
        return self._ask(lambda: self.proxy.submit(lines, submit_options))

    def cancel(self, selection: Selection) -> Changed:
        """Cancel."""
        return self._ask(lambda: self.proxy.cancel(selection))

    def retry(self, selection: Selection) -> Changed:
        """Try again."""
        return self._ask(lambda: self.proxy.retry(selection))

    def delete(self, selection: Selection) -> Changed:
        """Delete."""
        return self._ask(lambda: self.proxy.delete(selection))

    def hold(self, client_id: str, *, held: bool) -> None:
        """Hand out no more, or hand out again."""
        self._ask(lambda: self.proxy.hold(client_id, held=held), client_id)

    def set_slots(self, client_id: str, slots: int) -> None:
        """Have a client run so many tasks at a time."""
        self._ask(lambda: self.proxy.set_slots(client_id, slots), client_id)

    def _ask(self, call: Callable[[], T], client: str = "") -> T:
        try:
            return call()
        except CallRefused as error:
            raise refusal(error, self._verb, client) from error
        except ValueError as error:
            raise RequestRefused(reason=" ".join(str(error).split()), verb=self._verb) from error
        except TimeoutError as error:
            raise ServerStalled() from error
        except (EOFError, OSError, WireError) as error:
            what = "the connection was closed" if isinstance(error, EOFError) else str(error)
            raise (ServerHungUp if self._is_there() else ServerLeft)(what=what) from error


def refusal(error: CallRefused, verb: str, client: str = "") -> HyperShellError:
    """The error that a user of this verb, about a client, can act on."""
    match error.kind:
        case ErrorKind.NO_DATABASE:
            return TasksNotKept()
        case ErrorKind.NOT_FOUND:
            return SelectionUnknown(what=str(error).removeprefix("there is no "))
        case ErrorKind.NO_CLIENT:
            return ClientUnknown(client=client)
        case ErrorKind.ENDING:
            return ServerLeft(what="it is ending")
        case ErrorKind.DATABASE_UNUSABLE:
            return ServerUnable(reason=str(error))
    return RequestRefused(reason=" ".join(str(error).split()), verb=verb)


class LocalTasks:
    """A task database that no server works on: it is read, or changed under the lock."""

    def __init__(self, option: str | None, directory: ServerDirectory, verb: str) -> None:
        self._option = option
        self._directory = directory
        self._verb = verb

    def count(self, selection: Selection) -> int:
        """Count the tasks of a selection."""
        with self._reading() as queries:
            return queries.count(selection)

    def rows(
        self, selection: Selection, fields: list[str], after: int, limit: int
    ) -> tuple[list[list[Any]], int]:
        """Fields of tasks after an id, and the last id of them, 0 if there are no more."""
        with self._reading() as queries:
            return queries.rows(selection, fields, after, limit)

    def task(self, task_id: int) -> dict[str, Any] | None:
        """All of a task."""
        with self._reading() as queries:
            return queries.task(task_id)

    def explain(self, task_ids: list[int]) -> dict[int, list[str]]:
        """None runs without a server."""
        return {task_id: ["no server is running"] for task_id in task_ids}

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """Failed tasks by cause."""
        with self._reading() as queries:
            return queries.failures(selection)

    def wait(self, selection: Selection, seconds: float) -> dict[str, Any]:
        """The state now: while no server runs, unfinished tasks stay unfinished."""
        with self._reading() as queries:
            which = Selection(run=LAST_RUN) if selection.is_whole_run() else selection
            unfinished, bad = queries.outcome(which)
        return {"unfinished": unfinished, "bad": bad, "over": True}

    def submit(self, batches: Iterable[list[bytes]], submit_options: "SubmitOptions") -> list[int]:
        """Add lines as tasks, all or none."""
        with self._changing() as offline:
            return offline.submit(batches, submit_options)

    def cancel(self, selection: Selection) -> Changed:
        """Cancel tasks."""
        with self._changing() as offline:
            return offline.cancel(selection)

    def retry(self, selection: Selection) -> Changed:
        """Let them wait again."""
        with self._changing() as offline:
            return offline.retry(selection)

    def delete(self, selection: Selection) -> Changed:
        """Forget them."""
        with self._changing() as offline:
            return offline.delete(selection)

    def _url(self) -> str:
        from hypershell.store.sql.engine import database_url

        return database_url(self._option, os.environ, self._directory.path)

    @contextmanager
    def _reading(self) -> Iterator["Queries"]:
        from hypershell.store.sql.engine import open_database
        from hypershell.store.sql.queries import Queries

        database = open_database(self._url(), read_only=True)
        try:
            with self._refusing():
                yield Queries(database)
        finally:
            database.close()

    @contextmanager
    def _changing(self) -> Iterator["Offline"]:
        from hypershell.store.sql.engine import open_database
        from hypershell.store.sql.offline import Offline

        with self._directory.hold(self._verb, wait_seconds=_LOCK_SECONDS):
            database = open_database(self._url(), create=False)
            try:
                with self._refusing():
                    yield Offline(database)
            finally:
                database.close()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise RequestRefused(reason=str(error), verb=self._verb) from error
