"""What `hyper-shell list` shows."""

import time
from collections.abc import Iterator
from typing import Any

from hypershell.app.task_api import TaskApi, open_task_api
from hypershell.cli.options import Parsed
from hypershell.cli.output.rows import FORMATS, write, write_rows
from hypershell.cli.selection_options import selection_from
from hypershell.core.query.columns import COLUMNS
from hypershell.core.query.selection import Selection, checked_tag

_SHOWN = ["id", "state", "exit_status", "attempt", "duration", "host", "line"]
_PAGE = 1000
_WATCH_SECONDS = 1.0
_CLEAR = "\x1b[2J\x1b[H"


def show(parsed: Parsed) -> int:
    """List, count or watch; the exit status."""
    which = selection_from(parsed)
    fields = _fields(parsed)
    form = parsed.choice("--format", FORMATS, "table")
    limit = parsed.whole("--limit", default=0, lowest=1) or None
    if not parsed.flag("--watch"):
        _show(open_task_api(parsed), parsed, which, fields, form, limit)
        return 0
    try:
        while True:
            hand = open_task_api(parsed)
            write(_CLEAR)
            _show(hand, parsed, which, fields, form, limit)
            time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0


def _show(
    hand: TaskApi,
    parsed: Parsed,
    which: Selection,
    fields: list[str],
    form: str,
    limit: int | None,
) -> None:
    if parsed.flag("--count"):
        number = hand.count(which)
        write(f"{number if limit is None else min(number, limit)}\n")
        return
    write_rows(form, fields, _pages(hand, which, fields, limit))


def _pages(
    hand: TaskApi, which: Selection, fields: list[str], limit: int | None
) -> Iterator[list[list[Any]]]:
    """All rows, a page at a time; `limit` of them."""
    after, left = 0, limit
    while left is None or left > 0:
        most = _PAGE if left is None else min(_PAGE, left)
        rows, after = hand.rows(which, fields, after, most)
        if rows:
            yield rows
        if not after:
            return
        left = None if left is None else left - len(rows)


def _fields(parsed: Parsed) -> list[str]:
    """The fields that were named, with commas or blanks between them; UsageError."""
    names = [name for word in parsed.words("FIELD") for name in word.split(",") if name]
    for name in names:
        if name.startswith("tag."):
            try:
                checked_tag(name[4:], "")
            except ValueError as error:
                raise parsed.error(str(error)) from error
        elif name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise parsed.error(f"there is no field {name}", f"there are {known} and tag.KEY")
    return names or _SHOWN
