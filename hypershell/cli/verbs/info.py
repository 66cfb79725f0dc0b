"""`hyper-shell info`: one task, with its attempts."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell info ID [options]

Show one task: its line, its state, its attempts (the last 1000 if there are
more) and what a failed attempt printed last.

Info options:
  --json  Print JSON.

{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell info 7

  $ hyper-shell info 7 --json
"""


def run(arguments: list[str]) -> int:
    """Show a task; the exit status."""
    parsed = parse(USAGE, "info", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.output.task_view import info

    return info(parsed)
