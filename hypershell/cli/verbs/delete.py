"""`hyper-shell delete`: forgets tasks that are not under way."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.cli.changing import ChangeOptions

USAGE = f"""\
Usage:
  hyper-shell delete [ID...] [options]

Delete tasks, with their attempts and what they printed, for good; those that wait or run are left
alone: cancel them first. An ID may be a range, 10-20.

Delete options:
  --json  Print the numbers as JSON.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell delete --succeeded --where 'ended < 30d ago'

  $ hyper-shell delete 7 10-20
"""


def options_from(parsed: Parsed) -> "ChangeOptions":
    """Which tasks to delete; UsageError."""
    from hypershell.cli.changing import change_options_from

    return change_options_from(parsed)


def run(options: "ChangeOptions") -> int:
    """Delete tasks; the exit status."""
    from hypershell.cli.changing import change

    return change(options, lambda api: api.delete, "deleted", "they wait or run")
