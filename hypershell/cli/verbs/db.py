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
    from hypershell.app import maintenance
    from hypershell.core.visible import visible

    match options.action:
        case "check":
            _check(options.place)
        case "vacuum":
            size, name = maintenance.vacuum(options.place)
            print(f"{visible(name)}: {_mib(size.before)} before, {_mib(size.after)} now")
        case _:
            from hypershell.cli.output.stdout import for_reader

            maintenance.export(options.place, options.form, options.path, for_reader())
    return 0


def _check(place: "DatabasePlace") -> None:
    from hypershell.app.maintenance import check
    from hypershell.core.units import counted
    from hypershell.core.visible import visible

    found, name = check(place, lambda complaint: print(visible(complaint), flush=True))
    states = ", ".join(f"{number} {state}" for state, number in found.states.items())
    print(
        f"{visible(name)} is intact: {counted(found.tasks, 'task')} ({states or 'none'}),"
        f" {counted(found.attempts, 'attempt')}, {counted(found.runs, 'run')}"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
