"""A record of input: the values of which a command is made, and the text that gives them again.

A record of a file is its line, or what the file has for one. Any other record is written as JSON: a
single value as a string, several as an object of their names, or of their positions ("1", "2") if
they have no names. Values are bytes; what is not UTF-8 in them stands as a lone surrogate; see
`core.text`.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypershell.core.text import bytes_of, text_of


class Record(NamedTuple):
    """The values of one task, and the name of each if they have names."""

    values: tuple[bytes, ...]
    names: tuple[str, ...] = ()


def json_of(record: Record) -> bytes:
    """The record as one line of JSON, without its newline."""
    texts = [text_of(value) for value in record.values]
    if len(texts) == 1 and not record.names:
        return json.dumps(texts[0]).encode()
    names = record.names or [str(number) for number in range(1, len(texts) + 1)]
    return json.dumps(dict(zip(names, texts, strict=True)), separators=(",", ":")).encode()


def record_of(value: Any) -> Record:
    """The record of a value that JSON has given, its numbers as they were written; ValueError.

    A string, a number or a boolean is the only value of its record. An array has values by their
    positions, an object by its names. null is an empty value.
    """
    match value:
        case dict():
            values = tuple(_value_of(each) for each in value.values())
            names = tuple(value)
            if _are_positions(names):
                return Record(values)
            return Record(values, names)
        case list():
            return Record(tuple(_value_of(each) for each in value))
    return Record((_value_of(value),))


def read_json(text: bytes | str) -> Any:
    """The value of a JSON text, with numbers as the text has them; ValueError."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _are_positions(names: Sequence[str]) -> bool:
    return list(names) == [str(number) for number in range(1, len(names) + 1)]


def _value_of(value: Any) -> bytes:
    match value:
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case None:
            text = ""
        case _:
            raise ValueError("a value inside of a record is itself an array or an object")
    try:
        found = bytes_of(text)
    except UnicodeEncodeError:
        raise ValueError("a string has half of a surrogate pair") from None
    if b"\0" in found:
        raise ValueError("a value contains a NUL character")
    return found
