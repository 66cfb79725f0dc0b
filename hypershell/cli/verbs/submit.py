"""`hyper-shell submit`: gives a server, or the next one, more tasks."""

from hypershell.cli.options import parse
from hypershell.cli.selection_texts import DATABASE_OPTIONS, TERMS_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell submit [options] -- ARG...
  hyper-shell submit -f FILE [options]

Give the server of a directory tasks to run: the one command after --, or each line of a file. One
ARG is the line as it stands; several are quoted and joined. Prints the ids of the tasks. While no
server runs in a directory that has a task database, they go there, and the next `hyper-shell
server --restart` or --forever runs them.

Submit options:
  -f FILE, --file FILE    Read lines from FILE, - for standard input, as `server FILE` does.
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
    from hypershell.cli.selection_options import join_tags

    parsed = parse(USAGE, "submit", join_tags(arguments))
    if parsed is None:
        return 0
    from hypershell.app.submit import submit

    return submit(parsed)
