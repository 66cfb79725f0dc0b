"""`hyper-shell run`: submits one command, waits for it, and ends as it did."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import NEW_TASK_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.run_command import RunOptions

USAGE = f"""\
Usage:
  hyper-shell run [options] -- ARG...

Run one command as a task of a running server, as if it ran here: when it has
ended, its standard output and standard error are passed on, up to 1 MiB of
each, and its exit status is the exit status of this command. Ctrl-C cancels it.

{NEW_TASK_OPTIONS}
{PLACE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Exit status:
  that of the task; 128+N if signal N killed it, 126 if it could not be
  started, 1 if it was cancelled.

Examples:
  $ hyper-shell run -- ./simulate --seed 7

  $ hyper-shell run -- 'sort data.txt | uniq -c' > counts.txt
"""


def options_from(parsed: Parsed) -> "RunOptions":
    """Which command to run, and where; UsageError."""
    from hypershell.app.run_command import RunOptions
    from hypershell.cli.common_options import location_from
    from hypershell.cli.selection_options import line_from, submit_options_from

    submit_options = submit_options_from(parsed, captured=True)
    return RunOptions(location_from(parsed), submit_options, line_from(parsed))


def run(options: "RunOptions") -> int:
    """Run a command on the farm, and pass on what it printed; its exit status."""
    from hypershell.app.run_command import run_command
    from hypershell.cli.output.rows import cell, warn, write
    from hypershell.cli.output.stdout import write_error

    result = run_command(options)
    write(result.stdout)
    write_error(result.stderr)
    if result.note:
        warn(cell("note", result.note))
    return result.exit_status
