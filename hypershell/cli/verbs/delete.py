"""`hyper-shell delete`: forgets tasks that are not under way."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell delete [ID...] [options]

Delete tasks for good, with their attempts and captured output. Tasks that are
waiting or running are not deleted: cancel them first. An ID may be a range,
such as 10-20.

Delete options:
  --json  Print the result as JSON.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell delete --succeeded --where 'ended < 30d ago'

  $ hyper-shell delete 7 10-20
"""


def run(arguments: list[str]) -> int:
    """Delete tasks; the exit status."""
    parsed = parse(USAGE, "delete", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.changing import delete

    return delete(parsed)
