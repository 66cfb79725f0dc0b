"""Removes the directories of old runs, and none that somebody may still need.

Kept are the newest, and of the others each run that lives, whose server died last in its home (its
clients may look for its keys), that has tasks which are not final, or whose home a kept run shares.
A directory goes in one step: it is renamed under its lock, and then removed. Who has a file in it
open reads on.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypershell.core.errors import HyperShellError
from hypershell.runtime import chance
from hypershell.serverdir.homes import MAIN, homes_in, live_runs
from hypershell.serverdir.lock import DirectoryLock
from hypershell.serverdir.run_record import CURRENT, Run, linked_name, runs_in

_PRUNED = ".hyper-shell-pruned-"
_PRUNER = "prune"

Unfinished = Callable[[str], set[str] | None]
"""The uids of runs with tasks that are not final in the database of a home; None: not known."""


def prune_runs(directory: Path, keep: int, unfinished: Unfinished) -> list[str]:
    """Remove all runs but the newest `keep` and those that are needed; the names of the removed.

    For the holder of the server directory alone. OSError if the directory cannot be read.
    """
    for name in os.listdir(directory):
        if name.startswith(_PRUNED):  # left by one who was killed
            shutil.rmtree(directory / name, ignore_errors=True)
    runs = runs_in(directory)
    old = runs[: max(0, len(runs) - max(1, keep))]
    if not old:
        return []
    needed = _needed(directory, runs, old, unfinished)
    return [run.path.name for run in old if run.path.name not in needed and _remove(run.path)]


def _needed(directory: Path, runs: list[Run], old: list[Run], unfinished: Unfinished) -> set[str]:
    """The names of those old runs that stay, and perhaps of others."""
    live = live_runs(directory)
    needed = {run.path.name for run in runs if run not in old}
    needed |= {each.home for each in live} | {each.run.path.name for each in live if each.run}
    needed |= {linked_name(directory / CURRENT) or ""} | _last_dead(runs)
    known = {home: unfinished(home) for home in homes_in(directory)}
    for run in old:
        name = run.path.name
        uids = known.get(run.record.home if run.record else MAIN)
        is_open = uids is None or (run.record is not None and run.record.server_uid in uids)
        has_open_tasks = name in known and known[name] != set()
        if is_open or has_open_tasks:
            needed.add(name)
    return needed | {run.record.home for run in runs if run.path.name in needed and run.record}


def _last_dead(runs: list[Run]) -> set[str]:
    """The last run of each home, if its server died."""
    last = {run.record.home: run for run in runs if run.record}
    return {run.path.name for run in last.values() if not run.ended_cleanly}


def _remove(path: Path) -> bool:
    """Remove a run that nobody has at this moment; whether it is gone."""
    lock = DirectoryLock(path)
    try:
        lock.take(_PRUNER, "", 0.0, False, lambda: False)
    except HyperShellError:
        return False
    try:
        gone = path.with_name(f"{_PRUNED}{chance.token_hex(8)}")
        os.rename(path, gone)
    except OSError:
        return False
    finally:
        lock.release()
    with suppress(OSError):
        shutil.rmtree(gone)
    return True
