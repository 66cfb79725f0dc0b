"""What drivers say, and what reading a damaged database leads to, in our words."""

import errno
import os
import re
import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hypershell.core.errors import HyperShellError, system_reason
from hypershell.store.sql.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabasePooled,
    DatabaseUnusable,
    LoginRefused,
)

UNREADABLE = (
    *(SQLAlchemyError, sqlite3.Error, ValueError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, RecursionError),
)
"""What is raised where a database cannot be read, or holds what we never wrote there."""

_MAX_REASON = 200
_UNOPENED = re.compile("unable to open|no such table")
_REFUSALS = "password authentication failed|no password supplied|authentication failed for user"
_POOLED = "not allowed in (transaction|statement) pooling mode"


def explained(error: Exception, where: str) -> DatabaseUnusable:
    """Turn an error of the driver, or of reading what it gave, into one of ours."""
    if isinstance(error, HyperShellError):
        return (
            error
            if isinstance(error, DatabaseUnusable)
            else DatabaseUnusable(where=where, reason=str(error))
        )
    if not isinstance(error, DBAPIError | sqlite3.Error):
        what = " ".join(str(error).split())[:_MAX_REASON]
        reason = f"it holds what cannot be read ({type(error).__name__}: {what})"
        return DatabaseDamaged(where=where, reason=reason)
    cause = getattr(error, "orig", None) or error
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    reason = (lines[0] if lines else type(cause).__name__).strip()
    if (
        isinstance(cause, sqlite3.Error)
        and _UNOPENED.search(reason)
        and (wants := _want_of_descriptors())
    ):
        reason = wants  # whatever SQLite makes of it
    kind: type[DatabaseUnusable] = DatabaseUnusable
    if re.search(r"malformed|not a database|corrupt|disk image", reason):
        kind = DatabaseDamaged
    elif re.search(r"database( table)? is locked", reason):
        kind = DatabaseBusy
    elif re.search(_REFUSALS, str(cause)):
        kind = LoginRefused
    elif re.search(_POOLED, str(cause)):
        kind = DatabasePooled
    return kind(where=where, reason=reason)


def _want_of_descriptors() -> str:
    """Why the three files of a database cannot be open at once, if that is so."""
    found: list[int] = []
    try:
        for _ in range(3):
            # Not the database itself: to close a descriptor of it would end SQLite's locks on it.
            found.append(os.dup(2))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return system_reason(error)
    finally:
        for descriptor in found:
            os.close(descriptor)
    return ""
