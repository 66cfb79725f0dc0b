"""`hyper-shell list`: tasks in rows, counted or watched."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from hypershell.cli.options import Parsed
from hypershell.cli.selection_texts import CONDITION_TEXT, DATABASE_OPTIONS, SELECTION_OPTIONS
from hypershell.cli.sort_option import BY_ID, Sort, sort_from
from hypershell.cli.texts import PLACE_OPTIONS

if TYPE_CHECKING:
    from hypershell.app.task_api import TaskApi, TaskSource
    from hypershell.cli.output.rows import Write
    from hypershell.core.query.selection import Selection

USAGE = f"""\
Usage:
  hyper-shell list [FIELD...] [options]

Show tasks of the last run, or of others, one per row, with the given fields.
With --running alone, they are those that say where each task runs.

List options:
  --count        Print only the number of tasks.
  --explain      Also show why each task that waits is not running.
  --sort FIELD   Order by a field, from low to high; FIELD:desc is from high to
                 low. The default is by id. Tasks without it come last.
  --limit NUM    Show at most NUM tasks, the first in that order.
  --format FORM  table, plain (tabs between fields, no heading), csv or json
                 [default: table].
  --json         The same as --format json.
  --watch        Show them again every second, until Ctrl-C; on a terminal as
                 many as fit.

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

  $ hyper-shell list --failed --run all

  $ hyper-shell list line --format plain --failed --tag site:A > again.txt
"""


_SHOWN = ("id", "state", "exit_status", "attempt", "duration", "host", "line")
_SHOWN_RUNNING = ("id", "attempt", "started", "host", "client", "slot", "pid", "line")
_PAGE = 1000
_WATCH_SECONDS = 1.0
_CLEAR, _HOME, _END_OF_LINE, _BELOW = b"\x1b[2J", b"\x1b[H", b"\x1b[K\n", b"\x1b[J"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which tasks to list and how: `limit` None is all of them.

    They are sorted by `sort`, or by id.
    """

    source: "TaskSource"
    selection: "Selection"
    fields: tuple[str, ...]
    form: str
    limit: int | None
    counts: bool
    watches: bool
    sort: Sort = BY_ID
    explains: bool = False


def options_from(parsed: Parsed) -> ListOptions:
    """What to list; UsageError."""
    from hypershell.cli.common_options import source_from
    from hypershell.cli.output.rows import FORMATS
    from hypershell.cli.selection_options import selection_from
    from hypershell.core.run_name import ALL_RUNS

    selection = selection_from(parsed)
    if parsed.flag("--json") and parsed.is_given("--format"):
        raise parsed.error("--json and --format cannot be used together")
    if parsed.flag("--explain") and selection.run == ALL_RUNS:
        raise parsed.error("--explain is for the tasks of one run, not for those of `all`")
    sort = sort_from(parsed)
    if sort.field == "tags":
        raise parsed.error("tasks cannot be sorted by all of their tags", "sort by one, as tag.KEY")
    return ListOptions(
        source=source_from(parsed, selection),
        selection=selection,
        fields=_fields(parsed),
        form="json" if parsed.flag("--json") else parsed.choice("--format", FORMATS, "table"),
        limit=parsed.whole("--limit", default=0, lowest=1) or None,
        counts=parsed.flag("--count"),
        watches=parsed.flag("--watch"),
        sort=sort._replace(field=_known(parsed, sort.field)) if sort.field else sort,
        explains=parsed.flag("--explain"),
    )


def _fields(parsed: Parsed) -> tuple[str, ...]:
    """The fields that were named, with commas or blanks between them; UsageError."""
    from hypershell.cli.selection_options import STATE_OPTIONS
    from hypershell.core.run_name import ALL_RUNS

    names = [name for word in parsed.words("FIELD") for name in word.split(",") if name]
    if names:
        return tuple(_known(parsed, name) for name in names)
    given = {name for name in STATE_OPTIONS if parsed.flag(name)}
    shown = _SHOWN_RUNNING if given == {"--running"} else _SHOWN
    # Ids are those of a database, and there may be several.
    return ("id", "run", *shown[1:]) if parsed.text("--run") == ALL_RUNS else shown


def _known(parsed: Parsed, name: str) -> str:
    """The name of a field; UsageError if there is none."""
    from hypershell.core.query.columns import COLUMNS
    from hypershell.core.query.selection import checked_tag

    if name.startswith("tag."):
        try:
            checked_tag(name[4:], "")
        except ValueError as error:
            raise parsed.error(str(error)) from error
    elif name not in COLUMNS:
        known = f"fields are {', '.join(COLUMNS)} and tag.KEY"
        raise parsed.error(f"unknown field {name}", parsed.option_like([name]) or known)
    return name


def run(options: ListOptions) -> int:
    """List tasks, once or again every second until Ctrl-C; the exit status."""
    from hypershell.app.task_api import check_cause, open_task_api
    from hypershell.cli.output.rows import write

    api = open_task_api(options.source)
    check_cause(api, options.selection)
    if not options.watches:
        _show(api, options, write)
        return 0
    try:
        _watch(options)
    except KeyboardInterrupt:
        return 0


def _watch(options: ListOptions) -> NoReturn:
    """Show what is there every second: over what was shown, if that is a terminal."""
    from hypershell.app.task_api import open_task_api
    from hypershell.cli.output.rows import write
    from hypershell.runtime import clock

    is_terminal = os.isatty(1)
    before = _CLEAR if is_terminal else b""
    while True:
        api = open_task_api(options.source)
        # Asked first and written in one piece: what was shown stays until there is something new.
        write(before + (_frame(api, options) if is_terminal else _text(api, options)))
        before = b"" if is_terminal else b"\n"
        clock.sleep(_WATCH_SECONDS)


def _text(api: "TaskApi", options: ListOptions) -> bytes:
    """All that is shown."""
    pieces: list[bytes] = []

    def take(piece: str | bytes) -> None:
        data = piece.encode("utf-8", "surrogateescape") if isinstance(piece, str) else piece
        pieces.append(data)

    _show(api, options, take)
    return b"".join(pieces)


def _frame(api: "TaskApi", options: ListOptions) -> bytes:
    """As much of it as fits on the screen, in place of what is there."""
    # Not by LINES of the environment, which is of the time when the shell was started.
    height = max(3, os.get_terminal_size(1).lines - 1)
    limit = height if options.limit is None else min(options.limit, height)
    lines = _text(api, replace(options, limit=limit) if not options.counts else options)
    shown = lines.splitlines()
    if len(shown) > height:
        shown = shown[: height - 1]
        number = api.count(options.selection) if options.limit is None else options.limit
        headings = 1 if options.form in ("table", "csv") else 0
        if (more := number - len(shown) + headings) > 0:
            shown.append(f"... and {more} more".encode())
    return _HOME + b"".join(line + _END_OF_LINE for line in shown) + _BELOW


def _show(api: "TaskApi", options: ListOptions, out: "Write") -> None:
    from hypershell.cli.output.rows import write_rows

    limit = options.limit
    if options.counts:
        number = api.count(options.selection)
        out(f"{number if limit is None else min(number, limit)}\n")
        return
    pages = _sorted(api, options) if options.sort.field else _pages(api, options)
    fields = options.fields
    if options.explains:
        pages, fields = _explained(api, options), (*fields, "why")
    write_rows(options.form, fields, pages, out)


def _explained(api: "TaskApi", options: ListOptions) -> Iterator[list[list[Any]]]:
    """All rows, each with why its task is not running; nothing for one that does not wait."""
    with_ids = replace(options, fields=("id", "state", *options.fields))
    for page in _sorted(api, with_ids) if options.sort.field else _pages(api, with_ids):
        reasons = api.explain([row[0] for row in page if row[1] == "waiting"])
        yield [[*row[2:], "; ".join(reasons.get(row[0], []))] for row in page]


def _sorted(api: "TaskApi", options: ListOptions) -> Iterator[list[list[Any]]]:
    """All rows in the order of a field, which is read with them."""
    with_key = replace(options, fields=(*options.fields, options.sort.field), limit=None)
    rows = [row for page in _pages(api, with_key) for row in page]
    found = options.sort.rows(rows, lambda row: row[-1])
    for start in range(0, len(found[: options.limit]), _PAGE):
        yield [row[:-1] for row in found[: options.limit][start : start + _PAGE]]


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
