"""What `hyper-shell cancel`, `retry` and `delete` do."""

import json
from collections.abc import Callable

from hypershell.app.task_api import TaskApi, open_task_api
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import warn, write
from hypershell.cli.selection_options import selection_from
from hypershell.core.query.selection import Changed, Selection
from hypershell.core.units import counted


def cancel(parsed: Parsed) -> int:
    """Cancel tasks; the exit status."""
    return _change(parsed, "cancelled", "they are final", lambda hand: hand.cancel)


def retry(parsed: Parsed) -> int:
    """Let tasks wait again; the exit status."""
    return _change(parsed, "to be tried again", "they have not failed", lambda hand: hand.retry)


def delete(parsed: Parsed) -> int:
    """Delete tasks; the exit status."""
    return _change(parsed, "deleted", "they wait or run", lambda hand: hand.delete)


def _change(
    parsed: Parsed,
    done: str,
    otherwise: str,
    call_of: Callable[[TaskApi], Callable[[Selection], Changed]],
) -> int:
    """Change what a command line says; 1 if a task that was named by its id was not."""
    which = selection_from(parsed, parsed.words("ID"))
    if which.is_everything():
        raise parsed.error("nothing says which tasks", "give ids, --tag, --where, --failed ...")
    changed = call_of(open_task_api(parsed))(which)
    if parsed.flag("--json"):
        write(json.dumps(changed._asdict()) + "\n")
    else:
        running = f", {changed.running} of them being ended" if changed.running else ""
        write(f"{counted(changed.changed, 'task')} {done}{running}\n")
    if changed.refused and (which.ids or not changed.changed):
        warn(f"{counted(changed.refused, 'task')} left alone: {otherwise}")
    if not which.ids:
        return 0
    if unknown := len(which.ids) - changed.changed - changed.refused:
        warn(f"{counted(unknown, 'task')} of those ids not found")
    return int(changed.changed < len(which.ids))
