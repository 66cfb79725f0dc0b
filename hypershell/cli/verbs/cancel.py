"""`hyper-shell cancel`: ends tasks that are not final."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell cancel [ID...] [options]

Cancel tasks that are not finished. Waiting tasks are not started; running tasks
are stopped with TERM, and with KILL after the grace time. An ID may be a range,
such as 10-20.

Cancel options:
  --json  Print the result as JSON.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell cancel 7 10-20

  $ hyper-shell cancel --tag site:A --waiting

  $ hyper-shell cancel --running --where 'started < 2h ago'
"""


def run(arguments: list[str]) -> int:
    """Cancel tasks; the exit status."""
    parsed = parse(USAGE, "cancel", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.changing import cancel

    return cancel(parsed)
