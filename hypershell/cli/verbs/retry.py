"""`hyper-shell retry`: lets tasks that did not succeed wait again."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

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


def run(arguments: list[str]) -> int:
    """Retry tasks; the exit status."""
    parsed = parse(USAGE, "retry", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.changing import retry

    return retry(parsed)
