"""The environment variables of this program."""

import pytest

from hypershell.core import environment
from hypershell.core.environment import has_password, is_withheld, secrets_in

WITHOUT = [
    "sqlite:////data/farm.db",
    "postgresql://me@host/farm",
    "postgresql://host:5432/farm",
    "postgresql:///farm?host=/run/postgresql",
]
WITH = [
    "postgresql://me:secret@host/farm",
    "postgresql+psycopg://me:se%40cret@host:5432/farm",
    "postgresql://me:se/cr?et@host/farm",
    "postgresql://host/farm?password=secret",
    "postgresql://host/farm?user=me&PassWord=secret",
    "postgresql://host/farm?p%61ssword=secret",
    "postgresql://host/farm?sslpassword=secret",
]


def test_all_variables_of_this_program_have_its_name():
    """And the one that programs of PostgreSQL have in common."""
    names = {value for name, value in vars(environment).items() if type(value) is str}

    ours = {name for name in names if name.isupper() and name.startswith("HYPERSHELL_")}

    assert ours | {"PGPASSWORD"} == {name for name in names if name.isupper()}


@pytest.mark.parametrize("url", WITHOUT)
def test_a_database_without_a_password_may_be_seen(url):
    """Tasks submit to it."""
    assert not has_password(url)
    assert not is_withheld(environment.DATABASE, url)


@pytest.mark.parametrize("url", WITH)
def test_a_database_with_a_password_may_not(url):
    """As part of the URL or as a parameter, however it is written."""
    assert has_password(url)
    assert [environment.DATABASE] == secrets_in({environment.DATABASE: url})


def test_what_opens_a_server_is_a_secret():
    """The key and the passphrase; where something is may be seen by tasks."""
    given = dict.fromkeys((environment.AUTH, environment.PASSPHRASE, "HOME", "PGPASSWORD"), "x")

    assert [environment.AUTH, environment.PASSPHRASE] == secrets_in(given)
    assert not is_withheld(environment.SERVER_DIR, "/farm")
