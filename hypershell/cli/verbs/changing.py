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
    return _change(parsed, "cancelled", "already finished", lambda hand: hand.cancel)


def retry(parsed: Parsed) -> int:
    """Let tasks wait again; the exit status."""
    return _change(parsed, "will be retried", "not failed", lambda hand: hand.retry)


def delete(parsed: Parsed) -> int:
    """Delete tasks; the exit status."""
    return _change(parsed, "deleted", "waiting or running", lambda hand: hand.delete)


def _change(
    parsed: Parsed,
    done: str,
    otherwise: str,
    call_of: Callable[[TaskApi], Callable[[Selection], Changed]],
) -> int:
    """Change what a command line says; 1 if a task that was named by its id was not."""
    which = selection_from(parsed, parsed.words("ID"))
    if which.is_everything():
        raise parsed.error("no tasks selected", "give ids, or options such as --tag or --failed")
    changed = call_of(open_task_api(parsed))(which)
    if parsed.flag("--json"):
        write(json.dumps(changed._asdict()) + "\n")
    else:
        running = f", {changed.running} of them being stopped" if changed.running else ""
        write(f"{counted(changed.changed, 'task')} {done}{running}\n")
    if changed.refused and (which.ids or not changed.changed):
        warn(f"{counted(changed.refused, 'task')} unchanged: {otherwise}")
    if not which.ids:
        return 0
    if unknown := len(which.ids) - changed.changed - changed.refused:
        warn(f"{counted(unknown, 'id')} not found")
    return int(changed.changed < len(which.ids))
