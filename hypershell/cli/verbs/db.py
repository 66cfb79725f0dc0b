"""`hyper-shell db`: looks after a task database."""

from hypershell.cli.options import parse
from hypershell.cli.texts import DATABASE_PLACE_OPTIONS

USAGE = f"""\
Usage:
  hyper-shell db (check | vacuum) [options]
  hyper-shell db export [FILE] [options]

`check` reads the whole task database and reports whether it is intact: both
SQLite's own check, and whether tasks, attempts and runs agree. `vacuum` returns
unused space to the file system; no server may be using the database. `export`
writes all tasks to FILE or to standard output: as JSON, with one object per
line that has all attempts and the captured output; as CSV, with one row per
task and its last attempt; or as GNU parallel's joblog, with one line per
finished task. `check` and `export` also work while a server is running.

Export options:
  --format FORM     json, csv or joblog [default: json].

{DATABASE_PLACE_OPTIONS}\
  -h, --help        Show this text and exit.

Exit status:
  0  done; for `check`, the database is intact
  3  the database cannot be used, or is damaged

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
