"""Databases that are damaged in every way that we could think of, from a seed."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

_VALUES: tuple[str, ...] = (
    *("NULL", "-1", "0", "99", "2147483648", "9223372036854775807", "-9223372036854775808"),
    *("1e308", "-0.5", "9e999", "'text'", "''", "'-1'", "x''", "x'ff00fe'", "x'7b7d'"),
    *("CAST(x'ff' AS TEXT)", "CAST(x'fe80' AS TEXT)", "'{'", "'[]'", "'{\"capture\":7}'", "'null'"),
    *('\'{"max_retries":"x"}\'', "replace(hex(zeroblob(50000)), '00', '[')", "zeroblob(70000)"),
)
"""What a column may hold that no release of ours ever wrote there."""


def damage(path: Path, random: Random) -> str:
    """Damage a SQLite database in one way, and say how."""
    if random.random() < 0.5:
        return random.choice(_IN_BYTES)(path, random)
    try:
        return random.choice(_IN_VALUES)(path, random)
    except sqlite3.Error as error:
        return f"nothing: {error}"


def _flip(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    offsets = [random.randrange(len(data)) for _ in range(random.choice((1, 2, 8, 64)))]
    for offset in offsets:
        data[offset] = random.randrange(256)
    path.write_bytes(data)
    return f"bytes at {offsets}"


def _in_cells(path: Path, random: Random) -> str:
    """Bytes that are not zero: the content of rows rather than the free space between them."""
    data = bytearray(path.read_bytes())
    used = [offset for offset, byte in enumerate(data) if byte and offset > 100]
    offsets = random.sample(used, random.choice((1, 1, 3, 20)))
    for offset in offsets:
        data[offset] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    path.write_bytes(data)
    return f"used bytes at {offsets}"


def _head(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    offset = random.randrange(100)
    data[offset] = random.randrange(256)
    path.write_bytes(data)
    return f"byte {offset} of the head"


def _noise(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    offset, length = random.randrange(len(data)), random.choice((16, 64, 512, 4096))
    data[offset : offset + length] = random.randbytes(length)
    path.write_bytes(data)
    return f"{length} bytes of noise at {offset}"


def _cut(path: Path, random: Random) -> str:
    data = path.read_bytes()
    length = random.choice((0, 1, 99, 100, 4095, 4096, random.randrange(len(data))))
    path.write_bytes(data[:length])
    return f"cut to {length}"


def _swap(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    one, other = (4096 * random.randrange(pages) for _ in range(2))
    page = data[one : one + 4096]
    data[one : one + 4096] = data[other : other + 4096]
    data[other : other + 4096] = page
    path.write_bytes(data)
    return f"pages at {one} and {other} are swapped"


def _value(path: Path, random: Random) -> str:
    """A value of the wrong kind in some rows of a column."""
    table, column = _column(path, random)
    value = random.choice(_VALUES)
    where = random.choice(("1", "abs(random()) % 3 = 0"))
    _run(path, f'UPDATE "{table}" SET "{column}" = {value} WHERE {where}')
    return f"{table}.{column} = {value}"


def _lax(path: Path, random: Random) -> str:
    """The same, where no constraint is in the way."""
    table, column = _column(path, random)
    value = random.choice(_VALUES)
    _run(
        path,
        f'CREATE TABLE lax AS SELECT * FROM "{table}"',
        f'DROP TABLE "{table}"',
        f'ALTER TABLE lax RENAME TO "{table}"',
        f'UPDATE "{table}" SET "{column}" = {value}',
    )
    return f"{table} without constraints, {column} = {value}"


def _without(path: Path, random: Random) -> str:
    """A table, a column, an index or rows are missing, or a table is a view."""
    table, column = _column(path, random)
    statement = random.choice(
        (
            f'DROP TABLE "{table}"',
            f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO other',
            f'DELETE FROM "{table}"',
            f'DELETE FROM "{table}" WHERE abs(random()) % 2 = 0',
            "DROP INDEX tasks_waiting",
            "UPDATE facts SET value = 'x' WHERE name = 'last_id'",
            "INSERT INTO facts VALUES ('last_id', 'x')",
            "UPDATE facts SET value = '1.5' WHERE name = 'version'",
        )
    )
    _run(path, statement)
    return statement


_Way = Callable[[Path, Random], str]
_IN_BYTES: tuple[_Way, ...] = (
    _flip,
    _in_cells,
    _head,
    _noise,
    _cut,
    _swap,
)
_IN_VALUES: tuple[_Way, ...] = (_value, _value, _lax, _without)


def _column(path: Path, random: Random) -> tuple[str, str]:
    query = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
    with closing(sqlite3.connect(path)) as connection:
        found: list[Any] = connection.execute(f"{query} WHERE m.type = 'table'").fetchall()
    table, column = random.choice(found)
    return table, column


def _run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
