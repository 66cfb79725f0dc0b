"""`hyper-shell failures`: why tasks failed, those that failed alike together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS
from hypershell.cli.sort_option import Sort, sort_from
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.task_api import TaskSource
    from hypershell.core.query.selection import Selection

USAGE = f"""\
Usage:
  hyper-shell failures [options]

Show the failed tasks by cause. Tasks have the same cause if they ended the same
way and their last standard error is the same apart from numbers, paths,
addresses and times. `retry --cause NUM` runs the tasks of one cause again.

Failure options:
  --json             Print JSON.
  --sort FIELD       Order by cause, count or text, from low to high; FIELD:desc
                     is from high to low. The default is count:desc.
  --where CONDITION  Only tasks that meet a condition; see
                     `hyper-shell list --help`.
  --tag KEY:VALUE    Only tasks with this tag; KEY alone matches any value. May
                     be repeated.
  --run UID          Only tasks of the run with this server_uid, of the `last`
                     run, or of `all` runs. The default is the last run.

{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell failures

  $ hyper-shell failures --where 'ended > 1h ago' --json

  $ hyper-shell retry --cause 3
"""


@dataclass(frozen=True, slots=True)
class FailuresOptions:
    """Of which tasks to show the causes of failure, and whether as JSON."""

    source: "TaskSource"
    selection: "Selection"
    json: bool
    sort: Sort


def options_from(parsed: Parsed) -> FailuresOptions:
    """Whose causes to show; UsageError."""
    from hypershell.cli.common_options import source_from
    from hypershell.cli.selection_options import selection_from

    selection = selection_from(parsed)
    source, sort = source_from(parsed, selection), sort_from(parsed, ("cause", "count", "text"))
    return FailuresOptions(source, selection, parsed.flag("--json"), sort)


def run(options: FailuresOptions) -> int:
    """Show causes; the exit status."""
    from hypershell.app.task_api import open_task_api
    from hypershell.cli.output.rows import write, write_json
    from hypershell.cli.output.task_view import failures_text
    from hypershell.core.run_name import ALL_RUNS

    found = open_task_api(options.source).failures(options.selection)
    causes = options.sort.rows(found, lambda cause: cause[options.sort.field])
    if options.json:
        write_json(causes)
    else:
        write(failures_text(causes, shows_runs=options.selection.run == ALL_RUNS))
    return 0
