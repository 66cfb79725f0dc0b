"""`hyper-shell list`: tasks in rows, counted or watched."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import CONDITION_TEXT, DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.task_api import TaskApi, TaskSource
    from hypershell.core.query.selection import Selection

USAGE = f"""\
Usage:
  hyper-shell list [FIELD...] [options]

Show tasks of this run and of earlier ones, one per row, with the given fields.
With --running alone, they are those that say where each task runs.

List options:
  --count        Print only the number of tasks.
  --limit NUM    Show at most NUM tasks, those with the lowest ids.
  --format FORM  table, plain (tabs between fields, no heading), csv or json
                 [default: table].
  --watch        Refresh every second, until Ctrl-C.

{SELECTION_OPTIONS}
{PLACE_OPTIONS}
{DATABASE_OPTIONS}
Other options:
  -h, --help  Show this text and exit.

{CONDITION_TEXT}
Examples:
  $ hyper-shell list --failed

  $ hyper-shell list id exit_status line --where \\
      'exit_status >= 3 and duration > 10m'

  $ hyper-shell list --count --remaining

  $ hyper-shell list line --format plain --failed --tag site:A > again.txt
"""


_SHOWN = ("id", "state", "exit_status", "attempt", "duration", "host", "line")
_SHOWN_RUNNING = ("id", "attempt", "started", "host", "client", "slot", "pid", "line")
_PAGE = 1000
_WATCH_SECONDS = 1.0
_CLEAR = "\x1b[2J\x1b[H"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which tasks to list and how: `limit` None is all of them, the first by id are shown."""

    source: "TaskSource"
    selection: "Selection"
    fields: tuple[str, ...]
    form: str
    limit: int | None
    counts: bool
    watches: bool


def options_from(parsed: Parsed) -> ListOptions:
    """What to list; UsageError."""
    from hypershell.cli.common_options import source_from
    from hypershell.cli.output.rows import FORMATS
    from hypershell.cli.selection_options import selection_from

    return ListOptions(
        source=source_from(parsed),
        selection=selection_from(parsed),
        fields=_fields(parsed),
        form=parsed.choice("--format", FORMATS, "table"),
        limit=parsed.whole("--limit", default=0, lowest=1) or None,
        counts=parsed.flag("--count"),
        watches=parsed.flag("--watch"),
    )


def _fields(parsed: Parsed) -> tuple[str, ...]:
    """The fields that were named, with commas or blanks between them; UsageError."""
    from hypershell.cli.selection_options import STATE_OPTIONS
    from hypershell.core.query.columns import COLUMNS
    from hypershell.core.query.selection import checked_tag

    names = [name for word in parsed.words("FIELD") for name in word.split(",") if name]
    for name in names:
        if name.startswith("tag."):
            try:
                checked_tag(name[4:], "")
            except ValueError as error:
                raise parsed.error(str(error)) from error
        elif name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise parsed.error(f"unknown field {name}", f"fields are {known} and tag.KEY")
    if names:
        return tuple(names)
    given = {name for name in STATE_OPTIONS if parsed.flag(name)}
    return _SHOWN_RUNNING if given == {"--running"} else _SHOWN


def run(options: ListOptions) -> int:
    """List tasks, once or again every second until Ctrl-C; the exit status."""
    from hypershell.app.task_api import open_task_api
    from hypershell.cli.output.rows import write
    from hypershell.runtime import clock

    if not options.watches:
        _show(open_task_api(options.source), options)
        return 0
    try:
        while True:
            api = open_task_api(options.source)
            write(_CLEAR)
            _show(api, options)
            clock.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0


def _show(api: "TaskApi", options: ListOptions) -> None:
    from hypershell.cli.output.rows import write, write_rows

    limit = options.limit
    if options.counts:
        number = api.count(options.selection)
        write(f"{number if limit is None else min(number, limit)}\n")
        return
    write_rows(options.form, options.fields, _pages(api, options))


def _pages(api: "TaskApi", options: ListOptions) -> Iterator[list[list[Any]]]:
    """All rows, a page at a time, up to the limit."""
    fields = list(options.fields)
    after, left = 0, options.limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        rows, after = api.rows(options.selection, fields, after, size)
        if rows:
            yield rows
        if not after:
            return
        left = None if left is None else left - len(rows)
