"""Tables and rows of tasks as people and scripts read them; every table is made here, by tabulate.

Lines come out byte for byte, except in tables and on a terminal, where nothing in them can move a
cursor.
"""

import csv
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hypershell.core.query.columns import COLUMNS
from hypershell.core.query.fields import Kind
from hypershell.core.visible import visible

FORMATS = ("table", "plain", "csv", "json")

_WIDEST = 60
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def write(data: str | bytes) -> None:
    """Write to standard output; undecodable bytes go out as they came in."""
    sys.stdout.flush()
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def plain(value: Any) -> Any:
    """A value for JSON: bytes as text, undecodable ones as surrogates, which JSON escapes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def write_json(value: Any) -> None:
    """A value as JSON, for people to read as well."""
    write(json.dumps(plain(value), indent=2) + "\n")


def write_rows(form: str, fields: Sequence[str], pages: Iterable[list[list[Any]]]) -> None:
    """Pages of rows in one of the FORMATS, each as it comes."""
    match form:
        case "json":
            _write_json(fields, pages)
        case "csv":
            _write_csv(fields, pages)
        case "plain":
            for page in pages:
                write(b"".join(b"\t".join(_texts(fields, r)) + b"\n" for r in page))
        case _:
            _write_table(fields, pages)


def _write_json(fields: Sequence[str], pages: Iterable[list[list[Any]]]) -> None:
    before = "[\n"
    for page in pages:
        for row in page:
            write(before + json.dumps(dict(zip(fields, map(plain, row), strict=True))))
            before = ",\n"
    write("[]\n" if before == "[\n" else "\n]\n")


def _write_csv(fields: Sequence[str], pages: Iterable[list[list[Any]]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    for page in pages:
        for row in page:
            texts = _texts(fields, row)
            writer.writerow([value.decode("utf-8", "surrogateescape") for value in texts])
        write(text.getvalue())
        text.seek(0)
        text.truncate()
    write(text.getvalue())


def _named(fields: Sequence[str], row: Sequence[Any]) -> list[Any]:
    """A row whose times are written out."""
    kinds = [COLUMNS.get(name) for name in fields]
    return [
        moment(value) if kind is Kind.TIME and value is not None else value
        for kind, value in zip(kinds, row, strict=True)
    ]


def _texts(fields: Sequence[str], row: Sequence[Any]) -> list[bytes]:
    """A row for programs: byte for byte, unless it is a person who looks at it."""
    texts = [_bytes(value) for value in _named(fields, row)]
    if not os.isatty(1):
        return texts
    return [visible(text).encode("utf-8", "surrogateescape") for text in texts]


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        value = " ".join(f"{key}:{each}" for key, each in value.items())
    return b"" if value is None else str(value).encode("utf-8", "surrogateescape")


def _write_table(fields: Sequence[str], pages: Iterable[list[list[Any]]]) -> None:
    """As wide as the first page wants; one page is in memory. Text that is wider is cut."""
    left = (Kind.TEXT, Kind.STATE, Kind.TIME)
    aligns = ["left" if COLUMNS.get(name, Kind.TEXT) in left else "right" for name in fields]
    widths = [len(name) for name in fields]
    pages_written = 0
    for page in pages:
        rows = [[cell(*pair) for pair in zip(fields, row, strict=True)] for row in page]
        if not pages_written:
            columns = zip(fields, *rows, strict=True)
            widths = [min(_WIDEST, max(map(len, column))) for column in columns]
        _write_lines(_tabulated(fields, rows, aligns, widths)[min(pages_written, 1) :])
        pages_written += 1
    if not pages_written:
        _write_lines(_tabulated(fields, [], aligns, widths))


def write_records(records: Sequence[Mapping[str, object]]) -> None:
    """A table of a few records that have the same names; whole numbers are on the right."""
    rows = [[cell("", value) for value in record.values()] for record in records]
    names = list(records[0])
    aligns = ["right" if type(value) is int else "left" for value in records[0].values()]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    _write_lines(_tabulated(names, rows, aligns, widths))


def write_facts(facts: Iterable[tuple[str, object]]) -> None:
    """A name and a value a line."""
    write(facts_text(facts))


def facts_text(facts: Iterable[tuple[str, object]], margin: str = "") -> str:
    """A name and a value a line, as text; a value that is not text is shown like that field."""
    rows = [[name.replace("_", " "), cell(name, value)] for name, value in facts]
    lines = _tabulated((), rows, ("left", "left"), ())
    return "".join(f"{margin}{line}\n" for line in lines if rows)


def _tabulated(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    aligns: Sequence[str],
    widths: Sequence[int],
) -> list[str]:
    """The lines of a table: the names, unless there are none, at least as wide as `widths`.

    Text that is wider than that is cut; a number pushes what follows to the right instead.
    """
    # Not at the top: it takes longer to import than most commands to run.
    import tabulate

    tabulate.MIN_PADDING = 0  # beside a name
    tabulate.WIDE_CHARS_MODE = False  # widths are counted in characters, here and there
    if names:
        sides = zip(widths, aligns, strict=True)
        most = [width if align == "left" else sys.maxsize for width, align in sides]
        rows = [[_cut(*pair) for pair in zip(row, most, strict=True)] for row in rows]
    # The names carry the widths: a page of short values is as wide as the first one.
    heads = [
        _cut(name, width).rjust(width) if align == "right" else _cut(name, width).ljust(width)
        for name, width, align in zip(names, widths, aligns if names else (), strict=True)
    ]
    text = tabulate.tabulate(
        rows,
        heads,
        tablefmt="plain",
        disable_numparse=True,
        preserve_whitespace=True,
        colalign=aligns if rows else None,
    )
    return [line.rstrip() for line in text.split("\n")]


def _write_lines(lines: Iterable[str]) -> None:
    """Write the lines of a table, cut to the width of the terminal if there is one."""
    width = shutil.get_terminal_size().columns if os.isatty(1) else None
    write("".join((line if width is None else _cut(line, width)) + "\n" for line in lines))


def _cut(text: str, width: int) -> str:
    """A text that is not wider; `...` stands for what is missing."""
    return text if len(text) <= width else (text[: max(0, width - 3)] + "...")[:width]


def cell(name: str, value: Any) -> str:
    """A value of a field for a reader: on one line, nothing in it that moves a cursor."""
    if value is None:
        return "-"
    match None if isinstance(value, str) else COLUMNS.get(name):
        case Kind.TIME:
            return moment(value)
        case Kind.DURATION:
            return seconds(value)
        case Kind.SIZE:
            return size(value)
    return visible(_bytes(value), stand_in=" ")


def moment(value: float) -> str:
    """A time, local, with its offset."""
    try:
        return datetime.fromtimestamp(value).astimezone().isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return f"{value:g}"  # no clock of ours says so


def seconds(value: float) -> str:
    """A duration as a condition takes it."""
    if value < 60:
        return f"{value:.3f}s"
    if not math.isfinite(value):
        return f"{value:g}"
    days, rest = divmod(int(value), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def size(value: float) -> str:
    """Bytes in a unit that leaves few digits."""
    unit = 0
    while value >= 1024 and unit + 1 < len(_UNITS):
        value, unit = value / 1024, unit + 1
    return f"{value:.4g}{_UNITS[unit]}"


def warn(message: str) -> None:
    """Say something on standard error."""
    print(f"hyper-shell: {visible(message)}", file=sys.stderr, flush=True)
