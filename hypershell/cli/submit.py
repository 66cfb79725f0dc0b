"""`hyper-shell submit`: gives a running server more tasks."""

from hypershell.cli.options import parse
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell submit [options] -- ARG...
  hyper-shell submit -f FILE [options]

Give the server of a directory tasks to run: the one command after --, or each line of a file. One
ARG is the line as it stands; several are quoted and joined. Prints the ids of the tasks.

Submit options:
  -f FILE, --file FILE    Read lines from FILE, - for standard input, as `server FILE` does.
  --json                  Print the ids as JSON.

{PLACE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell submit -- ./simulate --seed 7

  $ hyper-shell submit -- 'sort data.txt | uniq -c > counts.txt'

  $ hyper-shell submit -f more-tasks.txt --server-dir /shared/farm
"""


def run(arguments: list[str]) -> int:
    """Submit tasks; the exit status."""
    parsed = parse(USAGE, "submit", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.submitting import submit

    return submit(parsed)
