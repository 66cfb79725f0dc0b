"""`hyper-shell wait`: returns when tasks are final."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.wait import WaitOptions

USAGE = f"""\
Usage:
  hyper-shell wait [ID...] [options]

Wait until tasks have finished: succeeded, failed or cancelled. An ID may be a
range, such as 10-20.

Wait options:
  --all          All tasks of the last run, or of --run.
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


def options_from(parsed: Parsed) -> "WaitOptions":
    """Which tasks to wait for, and how long; UsageError."""
    from hypershell.app.wait import WaitOptions
    from hypershell.cli.common_options import source_from
    from hypershell.cli.selection_options import names_no_task, selection_from

    which = selection_from(parsed, parsed.words("ID"))
    if names_no_task(which) != parsed.flag("--all"):
        what = (
            "--all cannot be used with a selection" if parsed.flag("--all") else "no tasks selected"
        )
        raise parsed.error(what, "give ids, options such as --tag or --failed, or --all")
    timeout = parsed.text("--timeout")
    seconds = None if timeout is None else parsed.seconds("--timeout", default=0)
    return WaitOptions(source_from(parsed, which), which, seconds)


def run(options: "WaitOptions") -> int:
    """Wait for tasks; the exit status."""
    from hypershell.app.wait import wait
    from hypershell.cli.output.rows import warn
    from hypershell.core.units import counted

    verdict = wait(options)
    if verdict.unknown:
        warn(f"{counted(verdict.unknown, 'id')} not found")
    if verdict.unfinished:
        why = "they cannot start in this run" if verdict.has_server else "no server is running"
        warn(f"{counted(verdict.unfinished, 'task')} unfinished: {why}")
    if verdict.bad:
        warn(f"{counted(verdict.bad, 'task')} failed or cancelled")
    return 0 if verdict.is_good else 1
