"""Where a task database is, as `--database` and HYPERSHELL_DATABASE name it, and how it is shown.

A SQLite file is a path, which may be any bytes; in a URL they are percent-encoded. The URL of a
PostgreSQL database may hold a password, as part of it or as a parameter: nothing here shows one.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from hypershell.store.sql.errors import DatabaseUnusable

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

_SQLITE_URL = re.compile(r"sqlite(?:\+\w+)?:(?://(?:/(?P<path>[^?]*))?(?:\?.*)?)?", re.I | re.S)
_POSTGRESQL_SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?:", re.I)
_DRIVER = "postgresql+psycopg:"

_SHOWN_PARAMETERS = frozenset(
    {"application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host"}
    | {"hostaddr", "port", "service", "sslmode", "sslrootcert", "target_session_attrs", "user"}
)
"""Parameters of a connection that hold no secret."""


def sqlite_location(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"{SQLITE}:///{quote_from_bytes(os.fsencode(path))}"


def parse_location(url: str) -> Path | URL:
    """The path of a SQLite file, or the URL of a PostgreSQL database; DatabaseUnusable."""
    sqlite = _SQLITE_URL.fullmatch(url)
    if sqlite is not None:
        return _sqlite_path(url, sqlite["path"])
    scheme = _POSTGRESQL_SCHEME.match(url)
    if scheme is None or not url[scheme.end() :].startswith("//"):
        reason = "give sqlite:///PATH or postgresql://USER@HOST/NAME"
        raise DatabaseUnusable(where=_shown_text(url), reason=reason)
    try:
        parsed = make_url(_DRIVER + url[scheme.end() :])
    except (ArgumentError, ValueError):
        reason = "this is not the URL of a database"
        # Not `from` the error: that may quote the URL, and so a password.
        raise DatabaseUnusable(where=_shown_text(url), reason=reason) from None
    if url.partition("?")[0].count("@") > 1:
        reason = "an @ in a user name or password is written as %40"
        raise DatabaseUnusable(where=_shown_text(url), reason=reason)
    return parsed


def shown(location: Path | URL) -> str:
    """A database as messages name it: no password, and one line."""
    if isinstance(location, Path):
        text = str(location)
        return text if text.isprintable() else ascii(text)
    parameters = {
        name: value if name in _SHOWN_PARAMETERS else "***"
        for name, value in location.query.items()
    }
    return location.set(query=parameters).render_as_string(hide_password=True).replace("%2A", "*")


def is_url(name: str) -> bool:
    """Whether a name is meant as a URL, and not as the path of a file."""
    return "://" in name or _POSTGRESQL_SCHEME.match(name) is not None


def _sqlite_path(url: str, path: str | None) -> Path:
    named = os.fsdecode(unquote_to_bytes(os.fsencode(path or "")))
    if named in ("", ":memory:"):
        raise DatabaseUnusable(where=url, reason="it names no file; --no-db uses memory")
    if "\0" in named:
        raise DatabaseUnusable(where=ascii(named), reason="its name has a NUL character")
    return absolute(named)


def absolute(named: str) -> Path:
    """The absolute path of a file; DatabaseUnusable if there is no working directory."""
    try:
        return Path(named).absolute()
    except OSError as error:
        reason = "it is relative to the working directory, which was removed"
        raise DatabaseUnusable(where=shown(Path(named)), reason=reason) from error


def _shown_text(url: str) -> str:
    """A URL that cannot be read: any part after its scheme may be a password."""
    scheme = re.match(r"[A-Za-z][\w+.-]*:(//)?", url)
    return f"{scheme[0] if scheme else ''}..."
