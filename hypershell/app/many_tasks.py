"""The tasks of all runs of a server directory: of each server that lives, and of each database."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypershell.app.homes import HomeDatabase, databases, is_live
from hypershell.app.locate import ServerLocation
from hypershell.app.task_api import LocalTasks, TaskApi, open_remote_tasks
from hypershell.core.errors import IdsAmbiguous, NoServer, UsageError
from hypershell.core.query.selection import Changed, Selection
from hypershell.runtime import clock
from hypershell.serverdir.homes import LiveRun

log = logging.getLogger(__name__)

_GONE_SECONDS = 5.0
"""Seconds that a server which has hung up may take to end."""

_SHIFT = 62
"""Where in a place between rows the number of the source stands, above the id of a task."""


def open_all_tasks(location: ServerLocation, verb: str) -> TaskApi:
    """All tasks at a location; NoServer if there is neither a server nor a database."""
    directory = location.directory()
    if directory is None:
        return open_remote_tasks(location, verb)
    live = {each.home: each for each in directory.live_runs()}
    found = databases(directory)
    if not found:
        return open_remote_tasks(location, verb)
    sources = [_source(each, live.get(each.home), location, verb) for each in found]
    return ManyTasks(sources, lambda at: _after(found[at], location, verb))


def _after(database: HomeDatabase, location: ServerLocation, verb: str) -> TaskApi:
    """The source of a database after its server has hung up."""
    _ends(database)
    return _source(database, None, location, verb)


def _ends(database: HomeDatabase) -> bool:
    """Whether a server that does not answer, and may need a moment to end, has ended."""
    deadline = clock.monotonic() + _GONE_SECONDS
    while is_live(database.directory):
        if clock.monotonic() > deadline:
            return False
        clock.sleep(0.05)  # nothing tells when another process has ended
    return True


def _source(
    database: HomeDatabase, live: LiveRun | None, location: ServerLocation, verb: str
) -> TaskApi:
    """The server that has a database, or the database itself."""
    record = None if live is None else live.record
    in_memory = record is not None and record.in_memory
    if is_live(database.directory) and not in_memory:
        try:
            return open_remote_tasks(replace(location, home=database.home), verb)
        except NoServer:
            if not _ends(database):
                raise
    return LocalTasks(database.url, database.directory, verb)


class ManyTasks:
    """Several sources as one; ids are not unique in it, and no change may name them.

    `reopen` opens one of them again, by its number, after its server has left.
    """

    def __init__(self, sources: list[TaskApi], reopen: Callable[[int], TaskApi]) -> None:
        self._sources = sources
        self._reopen = reopen

    def count(self, selection: Selection) -> int:
        """The tasks of all."""
        return sum(source.count(selection) for source in self._sources)

    def rows(
        self, selection: Selection, fields: list[str], after: int, limit: int
    ) -> tuple[list[list[Any]], int]:
        """Rows of one source after the other. A page may be empty, and is not the last then."""
        at, task_id = after >> _SHIFT, after & ((1 << _SHIFT) - 1)
        rows, last = self._sources[at].rows(selection, fields, task_id, limit)
        if last:
            return rows, (at << _SHIFT) + last
        return rows, (at + 1) << _SHIFT if at + 1 < len(self._sources) else 0

    def task(self, task_id: int) -> dict[str, Any] | None:
        """The task, if only one source has one of this id; IdsAmbiguous."""
        tasks = [task for source in self._sources if (task := source.task(task_id)) is not None]
        if len(tasks) > 1:
            raise IdsAmbiguous(runs=", ".join(str(task["run"]) for task in tasks))
        return tasks[0] if tasks else None

    def explain(self, task_ids: list[int]) -> dict[int, list[str]]:
        """Why tasks, each of an id that one source has, are not running."""
        return {
            task_id: source.explain([task_id])[task_id]
            for task_id in task_ids
            for source in self._sources
            if source.task(task_id) is not None
        }

    def failures(self, selection: Selection) -> list[dict[str, Any]]:
        """The causes of all, each of its own source."""
        causes = [cause for source in self._sources for cause in source.failures(selection)]
        return sorted(causes, key=lambda cause: -int(cause["count"]))

    def wait(self, selection: Selection, seconds: float) -> dict[str, Any]:
        """Wait for one source after the other."""
        deadline = clock.monotonic() + seconds
        unfinished, bad, is_over = 0, 0, True
        for at in range(len(self._sources)):
            ended = self._wait(at, selection, max(0.0, deadline - clock.monotonic()))
            unfinished += ended["unfinished"]
            bad += ended["bad"]
            is_over = is_over and ended["over"]
        return {"unfinished": unfinished, "bad": bad, "over": is_over}

    def _wait(self, at: int, selection: Selection, seconds: float) -> dict[str, Any]:
        try:
            return self._sources[at].wait(selection, seconds)
        except NoServer:
            # It may have ended because all was done: its database tells.
            self._sources[at] = self._reopen(at)
            return self._sources[at].wait(selection, 0.0)

    def cancel(self, selection: Selection) -> Changed:
        """Cancel everywhere; so below."""
        return self._change(selection, lambda source: source.cancel)

    def retry(self, selection: Selection) -> Changed:
        """Retry everywhere."""
        return self._change(selection, lambda source: source.retry)

    def delete(self, selection: Selection) -> Changed:
        """Delete everywhere."""
        return self._change(selection, lambda source: source.delete)

    def _change(
        self, selection: Selection, call_of: Callable[[TaskApi], Callable[[Selection], Changed]]
    ) -> Changed:
        if selection.ids or selection.cause:
            hint = "name the run with --run UID"
            raise UsageError("each run has ids and causes of its own", hint=hint)
        changes = [call_of(source)(selection) for source in self._sources]
        return Changed(*map(sum, zip(*changes, strict=True)))
