"""`hyper-shell db`: looks after a task database."""

from hypershell.cli.options import parse
from hypershell.cli.texts import DATABASE_PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell db (check | vacuum) [options]
  hyper-shell db export [FILE] [options]

`check` reads all of the task database and says whether it is whole: what SQLite itself finds, and
whether tasks, attempts and runs fit together. `vacuum` gives room that is no longer needed back to
the file system; no server may be running on the database. `export` writes all tasks to FILE or to
standard output: JSON, an object a line with all attempts and the output that `run` kept; CSV, a row
a task with its last attempt; or GNU parallel's joblog, a line for each task that is final. `check`
and `export` may be used while a server runs.

Export options:
  --format FORM     json, csv or joblog [default: json].

{DATABASE_PLACE_OPTIONS}\
  -h, --help        Show this text and exit.

Exit status:
  0  It is done; with check, the database is whole.
  3  The database cannot be used, or is damaged.

Examples:
  $ hyper-shell db check

  $ hyper-shell db export --format csv tasks.csv

  $ hyper-shell db export | jq 'select(.state == "failed") | .line'
"""


def run(arguments: list[str]) -> int:
    """Check, vacuum or export; the exit status."""
    parsed = parse(USAGE, "db", arguments)
    if parsed is None:
        return 0
    from hypershell.cli.verbs import tending

    if parsed.flag("check"):
        return tending.check(parsed)
    if parsed.flag("vacuum"):
        return tending.vacuum(parsed)
    return tending.export(parsed)
