"""Whether what a database gives is what we write there: SQLite keeps any value in any column."""

from collections.abc import Mapping
from typing import Any

from hypershell.core.query.columns import COLUMNS
from hypershell.core.query.fields import Kind

_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.WHOLE: (int,),
    Kind.TEXT: (str, bytes, dict),
    Kind.STATE: (str,),
    Kind.SIGNAL: (int,),
    Kind.DURATION: (int, float),
    Kind.TIME: (int, float),
    Kind.SIZE: (int,),
}


def checked(facts: Mapping[str, Any]) -> None:
    """Raise ValueError unless each value is of the kind of its field, or None."""
    for name, value in facts.items():
        kind = COLUMNS.get(name)
        if value is not None and kind is not None and not isinstance(value, _TYPES[kind]):
            raise ValueError(f"{name} is {type(value).__name__}, not {kind.value}")


def checked_text(value: Any) -> str:
    """A value that must be text, or None for none; ValueError."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where text was expected")
    return value or ""
