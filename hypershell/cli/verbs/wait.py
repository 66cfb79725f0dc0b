"""`hyper-shell wait`: returns when tasks are final."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell wait [ID...] [options]

Wait until tasks have finished: succeeded, failed or cancelled. An ID may be a
range, such as 10-20.

Wait options:
  --all          All tasks of this run.
  --timeout SEC  Wait at most SEC seconds.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Exit status:
  0  all of them succeeded
  1  one failed, was cancelled, is unknown, or cannot finish in this run
  4  the timeout was reached, or no server answers

Examples:
  $ hyper-shell wait 7 8 9

  $ hyper-shell wait --tag site:A --timeout 600

  $ hyper-shell wait --all
"""


def run(arguments: list[str]) -> int:
    """Wait for tasks; the exit status."""
    parsed = parse(USAGE, "wait", arguments)
    if parsed is None:
        return 0
    from hypershell.app.wait import wait

    return wait(parsed)
