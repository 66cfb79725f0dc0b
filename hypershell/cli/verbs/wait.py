"""`hyper-shell wait`: returns when tasks are final."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell wait [ID...] [options]

Wait until tasks are final: they succeeded, failed or were cancelled. An ID may be a range, 10-20.

Wait options:
  --all          All tasks of the server's run.
  --timeout SEC  Wait no longer than SEC seconds.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Exit status:
  0  all of them succeeded
  1  one failed, was cancelled, is unknown, or can not become final in this run
  4  the time is over, or no server is there

Examples:
  $ hyper-shell wait 7 8 9

  $ hyper-shell wait --tag site:A --timeout 600

  $ hyper-shell wait --all
"""


def run(arguments: list[str]) -> int:
    """Wait for tasks; the exit status."""
    from hypershell.cli.selection_options import join_tags

    parsed = parse(USAGE, "wait", join_tags(arguments))
    if parsed is None:
        return 0
    from hypershell.app.wait import wait

    return wait(parsed)
