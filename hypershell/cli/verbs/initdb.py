"""`hyper-shell initdb`: makes the tables of a task database."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import DATABASE_PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.maintenance import DatabasePlace

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


def options_from(parsed: Parsed) -> "DatabasePlace":
    """Which task database gets tables."""
    from hypershell.cli.common_options import database_place_from

    return database_place_from(parsed)


def run(options: "DatabasePlace") -> int:
    """Make the tables, and say so; the exit status."""
    from hypershell.app.maintenance import initialize

    made, name = initialize(options)
    what = "made the tables of hyper-shell in" if made else "the tables of hyper-shell are in"
    print(f"{what} {name}")
    return 0
