"""`hyper-shell failures`: why tasks failed, those that failed alike together."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell failures [options]

Show the failed tasks by cause: how they ended, and what they last printed to standard error, but
for numbers, paths, addresses and times. `retry --cause NUM` runs those of one cause again.

Failure options:
  --json             Print JSON.
  --where CONDITION  Only tasks for which this holds; see `hyper-shell list --help`.
  --tag KEY:VALUE    Only tasks with this tag, or with any value of KEY alone. May be repeated.
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
    from hypershell.cli.selection_options import join_tags

    parsed = parse(USAGE, "failures", join_tags(arguments))
    if parsed is None:
        return 0
    from hypershell.cli.output.task_view import failures

    return failures(parsed)
