"""Rows of tasks as people and scripts read them. Lines come out byte for byte, except in tables."""

import csv
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hypershell.core.query.fields import FIELDS, Kind

FORMATS = ("table", "plain", "csv", "json")

_WIDEST = 60
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def write(data: str | bytes) -> None:
    """To standard output; text as it came in from the outside, undecodable bytes included."""
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
                write(b"".join(b"\t".join(map(_bytes, _named(fields, r))) + b"\n" for r in page))
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
            texts = [_bytes(value) for value in _named(fields, row)]
            writer.writerow([value.decode("utf-8", "surrogateescape") for value in texts])
        write(text.getvalue())
        text.seek(0)
        text.truncate()
    write(text.getvalue())


def _named(fields: Sequence[str], row: Sequence[Any]) -> list[Any]:
    """A row whose times are written out."""
    kinds = [FIELDS.get(name) for name in fields]
    return [
        moment(value) if kind is Kind.TIME and value is not None else value
        for kind, value in zip(kinds, row, strict=True)
    ]


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        value = " ".join(f"{key}:{each}" for key, each in value.items())
    return b"" if value is None else str(value).encode("utf-8", "surrogateescape")


def _write_table(fields: Sequence[str], pages: Iterable[list[list[Any]]]) -> None:
    """As wide as the first page wants, the last column as the terminal has room for."""
    widths: list[int] = []
    for page in pages:
        cells = [[cell(*pair) for pair in zip(fields, row, strict=True)] for row in page]
        if not widths:
            columns = zip(fields, *cells, strict=True)
            widths = [min(_WIDEST, max(map(len, column))) for column in columns]
            write(_aligned(fields, fields, widths))
        write("".join(_aligned(row, fields, widths) for row in cells))
    if not widths:
        write(_aligned(fields, fields, [len(name) for name in fields]))


def _aligned(cells: Sequence[str], fields: Sequence[str], widths: Sequence[int]) -> str:
    shown = []
    for text, name, width in zip(cells, fields, widths, strict=True):
        cut = text if len(text) <= width else text[: max(1, width - 3)] + "..."
        left = FIELDS.get(name, Kind.TEXT) in (Kind.TEXT, Kind.STATE, Kind.TIME)
        shown.append(cut.ljust(width) if left else cut.rjust(width))
    line = "  ".join(shown).rstrip()
    if os.isatty(1):
        line = line[: shutil.get_terminal_size().columns]
    return line + "\n"


def cell(name: str, value: Any) -> str:
    """A value of a field for a reader: on one line, nothing in it that moves a cursor."""
    if value is None:
        return "-"
    match FIELDS.get(name):
        case Kind.TIME:
            return moment(value)
        case Kind.DURATION:
            return seconds(value)
        case Kind.SIZE:
            return size(value)
    text = _bytes(value).decode("utf-8", "replace")
    return "".join(each if each.isprintable() else " " for each in text)


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
    print(f"hyper-shell: {message}", file=sys.stderr, flush=True)
