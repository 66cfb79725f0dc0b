"""`hyper-shell delete`: forgets tasks that are not under way."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

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


def run(arguments: list[str]) -> int:
    """Delete tasks; the exit status."""
    from hypershell.cli.selection_options import join_tags

    parsed = parse(USAGE, "delete", join_tags(arguments))
    if parsed is None:
        return 0
    from hypershell.cli.verbs.changing import delete

    return delete(parsed)
