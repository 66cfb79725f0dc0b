"""`hyper-shell run`: submits one command, waits for it, and ends as it did."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import TERMS_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell run [options] -- ARG...

Run one command as a task of a running server, as if it ran here: when it has
ended, its standard output and standard error are passed on, up to 1 MiB of
each, and its exit status is the exit status of this command. Ctrl-C cancels it.

{TERMS_OPTIONS}
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


def run(arguments: list[str]) -> int:
    """Run a command on the farm; the exit status."""
    parsed = parse(USAGE, "run", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.running import run_one

    return run_one(parsed)
