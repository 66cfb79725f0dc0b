"""`hyper-shell list`: tasks in rows, counted or watched."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import CONDITION_TEXT, DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell list [FIELD...] [options]

Show tasks of this run and of earlier ones, one per row, with the given fields.

List options:
  --count        Print only the number of tasks.
  --limit NUM    Show at most NUM tasks, those with the lowest ids.
  --format FORM  table, plain (tabs between fields, no heading), csv or json
                 [default: table].
  --watch        Refresh every second, until Ctrl-C.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

{CONDITION_TEXT}
Examples:
  $ hyper-shell list --failed

  $ hyper-shell list id exit_status line --where \\
      'exit_status >= 3 and duration > 10m'

  $ hyper-shell list --count --remaining

  $ hyper-shell list line --format plain --failed --tag site:A > again.txt
"""


def run(arguments: list[str]) -> int:
    """List tasks; the exit status."""
    parsed = parse(USAGE, "list", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.listing import show

    return show(parsed)
