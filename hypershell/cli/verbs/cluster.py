"""`hyper-shell cluster`: a server and its clients on this machine, in one command."""

from hypershell.cli.options import parse
from hypershell.cli.texts import ADDRESS_OPTIONS, LOG_OPTIONS, RUN_OPTIONS, TASK_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell cluster [FILE] [options]

Run the lines of FILE, or of standard input (`-` or no FILE), as tasks on this
machine: a server and its clients in one command, which makes its own key and
port. The output of tasks goes to standard output. With --print it goes to
standard error, so that standard output has only the lines of failed tasks.

{RUN_OPTIONS}  --clients NUM              Clients to start, each with -N slots [default: 1].

{TASK_OPTIONS}
{ADDRESS_OPTIONS}\
  --server-dir DIR      The server directory, where other commands find this
                        server and where its task database is. The default is
                        HYPERSHELL_SERVER_DIR, or ~/.hyper-shell; if another
                        server uses that default, tasks are kept in memory.

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
