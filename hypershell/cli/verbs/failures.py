"""`hyper-shell failures`: why tasks failed, those that failed alike together."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell failures [options]

Show the failed tasks by cause. Tasks have the same cause if they ended the same
way and their last standard error is the same apart from numbers, paths,
addresses and times. `retry --cause NUM` runs the tasks of one cause again.

Failure options:
  --json             Print JSON.
  --where CONDITION  Only tasks that meet a condition; see
                     `hyper-shell list --help`.
  --tag KEY:VALUE    Only tasks with this tag; KEY alone matches any value. May
                     be repeated.
  --from-run UID     Only tasks of the run with this server_uid.

{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell failures

  $ hyper-shell failures --where 'ended > 1h ago' --json

  $ hyper-shell retry --cause 3
"""


def run(arguments: list[str]) -> int:
    """Show causes; the exit status."""
    parsed = parse(USAGE, "failures", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.output.task_view import failures

    return failures(parsed)
