"""`hyper-shell retry`: lets tasks that did not succeed wait again."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.cli.changing import ChangeOptions

USAGE = f"""\
Usage:
  hyper-shell retry [ID...] [options]

Run tasks again that failed, were cancelled or were interrupted, with their full
number of retries. When no server runs, the next `hyper-shell server --restart`
or `server --forever` runs them.

Retry options:
  --json  Print the result as JSON.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell retry --failed

  $ hyper-shell retry --cause 3

  $ hyper-shell retry --failed --where 'host = node7'
"""


def options_from(parsed: Parsed) -> "ChangeOptions":
    """Which tasks to retry; UsageError."""
    from hypershell.cli.changing import change_options_from

    return change_options_from(parsed)


def run(options: "ChangeOptions") -> int:
    """Let tasks wait again; the exit status."""
    from hypershell.cli.changing import change
    from hypershell.cli.hints import NEXT_RUN

    refused, offline = "they have not failed", NEXT_RUN.format("them")
    return change(options, lambda api: api.retry, "will be retried", refused, offline)
