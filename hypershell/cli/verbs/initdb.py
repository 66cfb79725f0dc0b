"""`hyper-shell initdb`: makes the tables of a task database."""

from hypershell.cli.options import parse
from hypershell.cli.texts import DATABASE_PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell initdb [options]

Make the tables that tasks are kept in, where they are missing. In PostgreSQL this is done once, by
somebody who may, before the first server uses it; doing it again changes nothing. A SQLite file
needs none of this: the first server makes it.

{DATABASE_PLACE_OPTIONS}\
  -h, --help        Show this text and exit.

Examples:
  $ hyper-shell initdb --database postgresql://farm@dbhost/tasks

  $ HYPERSHELL_DATABASE=postgresql://farm@dbhost/tasks hyper-shell initdb
"""


def run(arguments: list[str]) -> int:
    """Make the tables; the exit status."""
    parsed = parse(USAGE, "initdb", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs.tending import initialize

    return initialize(parsed)
