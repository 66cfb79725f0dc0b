"""`hyper-shell server`: hands out the lines of a file as tasks and captures failures."""

from hypershell.cli.options import parse
from hypershell.cli.texts import ADDRESS_OPTIONS, LOG_OPTIONS, TASK_OPTIONS
from hypershell.core.errors import UsageError

USAGE = f"""\
Usage:
  hyper-shell server [FILE] [options]

Read commands, one a line, from FILE or from standard input (- or no FILE), and hand them out as
tasks to the clients that join. Blank lines and lines that begin with # are skipped. The server ends
when the input has ended and every task is final.

{TASK_OPTIONS}
{ADDRESS_OPTIONS}
{LOG_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

Examples:
  $ hyper-shell server tasks.txt -p 50001 -f failed.txt

  $ hyper-shell server tasks.txt --print | hyper-shell server - -p 50002

  $ hyper-shell server tasks.txt -r 2 -b 100 -H 0.0.0.0
"""


def run(arguments: list[str]) -> int:
    """Run a server; the exit status."""
    if "--restart" in arguments:
        raise UsageError(
            "--restart needs a task database, and this server keeps its tasks in memory (--no-db)",
            "server",
            "run the lines that are left as a new FILE: failed ones are in what -f wrote",
        )
    parsed = parse(USAGE, "server", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.serving import serve

    return serve(parsed)
