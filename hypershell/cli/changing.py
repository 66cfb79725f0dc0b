"""What `cancel`, `retry` and `delete` have in common: which tasks, and what is said of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from hypershell.app.task_api import LocalTasks, TaskApi, TaskSource, check_cause, open_task_api
from hypershell.cli.common_options import source_from
from hypershell.cli.hints import fitted
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import warn, write
from hypershell.cli.selection_options import selection_from
from hypershell.core.query.selection import Changed, Selection
from hypershell.core.units import counted


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """Which tasks to change, and whether the numbers are printed as JSON."""

    source: TaskSource
    selection: Selection
    json: bool


def change_options_from(parsed: Parsed) -> ChangeOptions:
    """The options of a verb that changes tasks; UsageError, if they mean all tasks."""
    which = selection_from(parsed, parsed.words("ID"))
    if which.is_everything():
        raise parsed.error("no tasks selected", "give ids, or options such as --tag or --failed")
    return ChangeOptions(source_from(parsed), which, parsed.flag("--json"))


def change(
    options: ChangeOptions,
    call_of: Callable[[TaskApi], Callable[[Selection], Changed]],
    done: str,
    otherwise: str,
    offline: str = "",
) -> int:
    """Change tasks and say how many; 1 if a task that was named by its id was not changed.

    `done` says what was done to the changed ones, `otherwise` why the others were refused, and
    `offline` what must follow where no server runs.
    """
    which = options.selection
    api = open_task_api(options.source)
    check_cause(api, which)
    changed = call_of(api)(which)
    if options.json:
        write(json.dumps(changed._asdict()) + "\n")
    else:
        running = f", {changed.running} still stopping" if changed.running else ""
        write(f"{counted(changed.changed, 'task')} {done}{running}\n")
    if offline and changed.changed and isinstance(api, LocalTasks):
        warn(fitted(offline))
    if changed.refused and (which.ids or not changed.changed):
        warn(f"{counted(changed.refused, 'task')} unchanged: {otherwise}")
    if not which.ids:
        return 0
    if unknown := len(which.ids) - changed.changed - changed.refused:
        warn(f"{counted(unknown, 'id')} not found")
    return int(changed.changed < len(which.ids))
