"""Where a database is: every path can be named, and no password is ever shown."""

import os
import re
from pathlib import Path

import pytest

from hypershell.store.sql.engine import database_url, open_database, sqlite_url
from hypershell.store.sql.errors import DatabaseLinked, DatabaseTaken, DatabaseUnusable
from hypershell.store.sql.location import parse_location, shown

NAMES = [b"plain", b"sp ace", b"per%20cent", b"quest?ion=1", b"ha#sh@at:colon", b"no\xffutf8"]

SECRET = "t0p-5ecret"
URLS = [
    f"postgresql://u:{SECRET}@127.0.0.1:1/db",
    f"postgres://u:{SECRET}@127.0.0.1:1/db?sslmode=disable",
    f"POSTGRESQL+psycopg2://u:{SECRET}@127.0.0.1:1/db",
    f"postgresql://u@127.0.0.1:1/db?password={SECRET}",
    f"postgresql://u@127.0.0.1:1/db?password={SECRET}&password={SECRET}",
    f"postgresql://u@127.0.0.1:1/db?sslpassword={SECRET}&application_name=x",
    f"postgresql://u@127.0.0.1:1/db?passwrd={SECRET}",
    f"postgresql://u@127.0.0.1:1/db?options=-c%20my.key%3D{SECRET}",
    f"postgresql://u:@{SECRET}@127.0.0.1:1/db",
    f"postgresql://u:a@{SECRET}/x@127.0.0.1:1/db",
    f"postgresql://u:{SECRET}?x@127.0.0.1:1/db",
    f"postgresql://u:{SECRET}@127.0.0.1:port/db",
    f"postgresql:u:{SECRET}@127.0.0.1/db",
    f"postgresql:/u:{SECRET}@127.0.0.1/db",
    f"mysql://u:{SECRET}@127.0.0.1/db",
    f"mysql://u@127.0.0.1/db?password={SECRET}",
    f"://u:{SECRET}@127.0.0.1/db",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_a_database(tmp_path, name):
    """As a path, and as the URL that is made of it; also where it is no UTF-8."""
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))

    open_database(database_url(str(path), {}, tmp_path)).close()
    by_default = parse_location(database_url(None, {}, path.parent))

    assert path == parse_location(sqlite_url(path))
    assert path.is_file()
    assert path.parent / "hyper-shell.db" == by_default
    assert shown(path).isprintable()


@pytest.mark.parametrize("url", URLS)
def test_a_password_in_a_url_is_not_shown(tmp_path, url):
    """Neither by the error nor by what it came from, however the URL is mistaken."""
    with pytest.raises(DatabaseUnusable) as raised:
        open_database(database_url(url, {}, tmp_path), read_only=True)

    error: BaseException | None = raised.value
    while error is not None:
        assert SECRET not in f"{error!r} {error}"
        error = error.__cause__


def test_what_is_no_secret_is_shown():
    """Host, port, database and harmless parameters."""
    location = parse_location("postgresql://u:x@h:5/d?sslmode=require&password=x&options=y")

    text = shown(location)

    assert re.fullmatch(r"postgresql\+psycopg://u:\*\*\*@h:5/d\?.*sslmode=require.*", text)
    assert "options=***" in text
    assert "password=***" in text


def test_a_file_without_a_working_directory_is_refused(tmp_path, monkeypatch):
    """Where the directory that it is relative to was removed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    for name in ("tasks.db", "sqlite:///tasks.db"):
        with pytest.raises(DatabaseUnusable, match="working directory, which was removed"):
            parse_location(database_url(name, {}, tmp_path))


def test_a_database_with_two_names_is_not_written(tmp_path):
    """Each name would have a journal and a lock of its own, so that two servers could open it."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    open_database(sqlite_url(first)).close()
    os.link(first, second)

    for path in (first, second):
        with pytest.raises(DatabaseLinked, match="hard link"):
            open_database(sqlite_url(path))
        open_database(sqlite_url(path), read_only=True).close()  # a copy that backups make
    second.unlink()

    open_database(sqlite_url(first)).close()


def test_a_link_to_a_database_is_the_database(tmp_path):
    """Its journal and its lock are beside the file itself."""
    path, link = tmp_path / "tasks.db", tmp_path / "link.db"
    link.symlink_to(path)

    first = open_database(sqlite_url(path))
    with pytest.raises(DatabaseTaken):
        open_database(sqlite_url(link))
    first.close()
