"""`hyper-shell retry`: lets tasks that did not succeed wait again."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell retry [ID...] [options]

Let tasks wait again that failed, were cancelled or interrupted, with all their retries. While no
server runs, the next `hyper-shell server --restart` or --forever runs them.

Retry options:
  --json  Print the numbers as JSON.

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
    from hypershell.cli.selection_options import join_tags

    parsed = parse(USAGE, "retry", join_tags(arguments))
    if parsed is None:
        return 0
    from hypershell.cli.verbs.changing import retry

    return retry(parsed)
