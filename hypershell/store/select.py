"""Selections as SQL."""

from sqlalchemy import ColumnElement

from hypershell.core.selection import Selection
from hypershell.store.schema import TASKS


def matching(selection: Selection) -> list[ColumnElement[bool]]:
    """The clauses of a selection, over TASKS."""
    return [TASKS.c.id.in_(selection.ids)]
