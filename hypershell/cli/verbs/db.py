"""`hyper-shell db`: looks after a task database."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypershell.cli.options import Parsed
from hypershell.cli.texts import DATABASE_PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.maintenance import DatabasePlace

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


@dataclass(frozen=True, slots=True)
class DbOptions:
    """What to do with which task database; `form` and `path` are of an export."""

    action: str
    place: "DatabasePlace"
    form: str = ""
    path: str | None = None


def options_from(parsed: Parsed) -> DbOptions:
    """What to do with which database; UsageError."""
    from hypershell.cli.common_options import database_place_from

    place = database_place_from(parsed)
    for action in ("check", "vacuum"):
        if parsed.flag(action):
            return DbOptions(action, place)
    from hypershell.store.sql.export import FORMS

    path = parsed.text("FILE")
    form = parsed.choice("--format", tuple(FORMS), "json")
    return DbOptions("export", place, form, None if path == "-" else path)


def run(options: DbOptions) -> int:
    """Check, vacuum or export; the exit status."""
    import sys

    from hypershell.app import maintenance

    match options.action:
        case "check":
            _check(options.place)
        case "vacuum":
            room, name = maintenance.vacuum(options.place)
            print(f"{name}: {_mib(room.before)} before, {_mib(room.after)} now")
        case _:
            maintenance.export(options.place, options.form, options.path, sys.stdout.buffer)
    return 0


def _check(place: "DatabasePlace") -> None:
    from hypershell.app.maintenance import check
    from hypershell.core.units import counted

    found, name = check(place, lambda complaint: print(complaint, flush=True))
    states = ", ".join(f"{number} {state}" for state, number in found.states.items())
    print(
        f"{name} is whole: {counted(found.tasks, 'task')} ({states or 'none'}),"
        f" {counted(found.attempts, 'attempt')}, {counted(found.runs, 'run')}"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
