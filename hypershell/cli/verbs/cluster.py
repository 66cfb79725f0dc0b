"""`hyper-shell cluster`: a server and its clients on this machine, in one command."""

from hypershell.cli.options import parse
from hypershell.cli.texts import ADDRESS_OPTIONS, LOG_OPTIONS, RUN_OPTIONS, TASK_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell cluster [FILE] [options]

Run the lines of FILE, or of standard input (- or no FILE), as tasks on this machine: a server and
its clients in one command, with a key and a port made for it. What tasks print goes to standard
output, or with --print to standard error, which leaves standard output to the lines that failed.

{RUN_OPTIONS}  --clients NUM              Clients to start, each with -N slots [default: 1].

{TASK_OPTIONS}
{ADDRESS_OPTIONS}\
  --server-dir DIR      The server directory: others find this server there, and it has the task
                        database. The default is HYPERSHELL_SERVER_DIR, or ~/.hyper-shell; while
                        another server has that one, this keeps its tasks in memory.

{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell cluster tasks.txt -N 8 -f failed.txt

  $ hyper-shell cluster --restart -N 8 -f failed.txt

  $ seq 1 100 | sed 's/^/sleep 0./' | hyper-shell cluster -N 0
"""


def run(arguments: list[str]) -> int:
    """Run a cluster; the exit status."""
    parsed = parse(USAGE, "cluster", arguments)
    if parsed is None:
        return 0
    from hypershell.app.cluster import run_cluster

    return run_cluster(parsed)
