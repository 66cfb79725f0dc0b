"""`hyper-shell info`: one task, with its attempts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS, RUN_PLACE_OPTION

if TYPE_CHECKING:
    from hypershell.app.task_api import TaskSource

USAGE = f"""\
Usage:
  hyper-shell info ID [options]

Show one task: its line, its state, its attempts (the last 1000 if there are
more) and what a failed attempt printed last.

Info options:
  --json     Print JSON.
  --explain  Also show why a task that waits is not running, for each client.

{PLACE_OPTIONS}\
{RUN_PLACE_OPTION}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell info 7

  $ hyper-shell info 7 --json

  $ hyper-shell info 7 --explain
"""


@dataclass(frozen=True, slots=True)
class InfoOptions:
    """Which task to show, and whether as JSON."""

    source: "TaskSource"
    task_id: int
    json: bool
    explains: bool = False


def options_from(parsed: Parsed) -> InfoOptions:
    """Which task to show; UsageError."""
    from hypershell.cli.common_options import source_from
    from hypershell.cli.selection_options import ids_from
    from hypershell.core.query.selection import Selection

    ids = ids_from(parsed, [parsed.text("ID") or ""])
    if len(ids) != 1:
        raise parsed.error("`info` takes one task id", "`hyper-shell list` shows several tasks")
    source = source_from(parsed, Selection(ids=ids))
    return InfoOptions(source, ids[0], parsed.flag("--json"), parsed.flag("--explain"))


def run(options: InfoOptions) -> int:
    """Show a task; 1 if there is none."""
    from hypershell.app.task_api import open_task_api
    from hypershell.cli.output.rows import warn, write, write_json
    from hypershell.cli.output.task_view import task_text

    api = open_task_api(options.source)
    task = api.task(options.task_id)
    if task is None:
        warn(f"there is no task {options.task_id}")
        return 1
    if options.explains and task["state"] == "waiting":
        task["why"] = api.explain([options.task_id])[options.task_id]
    if options.json:
        write_json(task)
    else:
        write(task_text(task))
    return 0
