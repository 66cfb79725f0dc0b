"""`hyper-shell cancel`: ends tasks that are not final."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell cancel [ID...] [options]

Cancel tasks that are not final: those that wait are not started, those that run are ended as by a
stop of their client (TERM, then KILL after the grace). An ID may be a range, 10-20.

Cancel options:
  --json  Print the numbers as JSON.

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
    from hypershell.cli.selection_options import join_tags

    parsed = parse(USAGE, "cancel", join_tags(arguments))
    if parsed is None:
        return 0
    from hypershell.cli.verbs.changing import cancel

    return cancel(parsed)
