"""`hyper-shell initdb`: makes the tables of a task database."""

from hypershell.cli.options import parse
from hypershell.cli.texts import DATABASE_PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell initdb [options]

Create the tables of a task database, if they do not exist. In PostgreSQL this
is done once, by a user who may create tables, before the first server uses the
database; repeating it changes nothing. A SQLite file does not need this: the
first server creates it.

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
