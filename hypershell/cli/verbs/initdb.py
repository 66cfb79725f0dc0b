"""`hyper-shell initdb`: makes the tables of a task database."""

from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import DATABASE_PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.maintenance import DatabasePlace

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


def options_from(parsed: Parsed) -> "DatabasePlace":
    """Which task database gets tables."""
    from hypershell.cli.common_options import database_place_from

    return database_place_from(parsed)


def run(options: "DatabasePlace") -> int:
    """Make the tables, and say so; the exit status."""
    from hypershell.app.maintenance import initialize
    from hypershell.core.visible import visible

    made, name = initialize(options)
    what = (
        "created the hyper-shell tables in" if made else "the hyper-shell tables already exist in"
    )
    print(f"{what} {visible(name)}")
    return 0
