"""`hyper-shell submit`: gives a server, or the next one, more tasks."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, TERMS_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell submit [options] -- ARG...
  hyper-shell submit -f FILE [options]

Give a server tasks to run: one command after `--`, or the lines of a file. A
single ARG is used as the line without change; several are quoted and joined.
Prints the ids of the tasks. When no server runs in the directory, the tasks go
to its task database, and the next `hyper-shell server --restart` or
`server --forever` runs them.

Submit options:
  -f FILE, --file FILE    Read lines from FILE as `server FILE` does; `-` is
                          standard input.
  --json                  Print the ids as JSON.

{TERMS_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell submit -- ./simulate --seed 7

  $ hyper-shell submit -- 'sort data.txt | uniq -c > counts.txt'

  $ hyper-shell submit -f more-tasks.txt --server-dir /shared/farm

  $ hyper-shell submit --tag site:A --priority 5 -r 2 -- ./simulate --site A
"""


def run(arguments: list[str]) -> int:
    """Submit tasks; the exit status."""
    parsed = parse(USAGE, "submit", arguments)
    if parsed is None:
        return 0
    from hypershell.app.submit import submit

    return submit(parsed)
