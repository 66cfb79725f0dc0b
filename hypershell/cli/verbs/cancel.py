"""`hyper-shell cancel`: ends tasks that are not final."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.cli.changing import ChangeOptions

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


def options_from(parsed: Parsed) -> "ChangeOptions":
    """Which tasks to cancel; UsageError."""
    from hypershell.cli.changing import change_options_from

    return change_options_from(parsed)


def run(options: "ChangeOptions") -> int:
    """Cancel tasks; the exit status."""
    from hypershell.cli.changing import change

    return change(options, lambda api: api.cancel, "cancelled", "they are final")
