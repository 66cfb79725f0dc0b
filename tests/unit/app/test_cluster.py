"""What the clients of a cluster get of its environment."""

import pytest

from hypershell.app.cluster import ClusterOptions, _client_variables
from hypershell.app.database import DatabaseOptions
from hypershell.app.server_inputs import InputOptions
from hypershell.client.options import ClientOptions
from hypershell.server.options import ServerOptions

POSTGRESQL, SQLITE = "postgresql://me@host/farm", "sqlite:////data/farm.db"


def variables(database: DatabaseOptions, server_dir: str | None = None) -> dict[str, str | None]:
    """What is changed for the clients of such a cluster."""
    options = ClusterOptions(
        ServerOptions(), InputOptions(), database, 1, ClientOptions(), (), server_dir
    )
    return _client_variables(options)


@pytest.mark.parametrize(
    ("option", "variable", "in_memory", "is_used"),
    [
        (POSTGRESQL, None, False, True),
        (None, POSTGRESQL, False, True),
        (SQLITE, POSTGRESQL, False, False),
        (None, POSTGRESQL, True, False),
        (None, None, False, False),
    ],
)
def test_the_password_of_postgresql_is_kept_back_where_the_cluster_uses_it(
    monkeypatch, option, variable, in_memory, is_used
):
    """It is of no use to tasks then; elsewhere it is theirs."""
    monkeypatch.delenv("HYPERSHELL_DATABASE", raising=False)
    if variable is not None:
        monkeypatch.setenv("HYPERSHELL_DATABASE", variable)

    found = variables(DatabaseOptions(option, in_memory))

    assert is_used is ("PGPASSWORD" in found)


def test_a_directory_that_was_named_is_where_tasks_find_their_server(monkeypatch, tmp_path):
    """By its full path; the default one they find by themselves."""
    monkeypatch.chdir(tmp_path)

    named, default = variables(DatabaseOptions(), "D"), variables(DatabaseOptions())

    assert str(tmp_path / "D") == named["HYPERSHELL_SERVER_DIR"]
    assert "HYPERSHELL_SERVER_DIR" not in default
