"""How we connect to PostgreSQL: as whom, through what, and what must hold on each connection."""

import re

import pytest

from hypershell.store.sql.engine import Database, initialize_database, open_database
from hypershell.store.sql.errors import DatabasePooled, DatabaseTaken
from tests.helpers.waiting import until

SETTINGS = ("synchronous_commit", "TimeZone", "tcp_keepalives_idle", "tcp_user_timeout")


def settings_of(database: Database) -> list[str]:
    """What holds on a connection that writes."""
    with database.writing() as connection:
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in SETTINGS]


@pytest.fixture
def made(postgres_url) -> str:
    """A database with our tables."""
    initialize_database(postgres_url)
    return postgres_url


@pytest.mark.parametrize(
    "parameters", ["", "?options=-c%20synchronous_commit%3Doff", "?options=-c%20work_mem%3D8MB"]
)
def test_options_of_a_url_leave_what_is_promised(made, parameters):
    """What is committed is on the disk, and a dead peer is noticed, whatever the URL asks for."""
    database = open_database(made + parameters)

    found = settings_of(database)
    database.close()

    assert ["on", "UTC", "5", "10000"] == found


def test_options_of_the_environment_and_the_role_leave_it_too(made, postgres, monkeypatch):
    """PGOPTIONS, and a setting of the database; more than was promised stays."""
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=local")
    weaker = open_database(made)
    found = settings_of(weaker)
    weaker.close()
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=remote_apply")
    stronger = open_database(made)
    found += settings_of(stronger)
    stronger.close()

    assert ["on", "remote_apply"] == found[::4]


def test_other_options_of_a_url_are_kept(made):
    """A schema, for example."""
    database = open_database(f"{made}?options=-c%20work_mem%3D8MB&application_name=mine")

    with database.writing() as connection:
        found = [connection.exec_driver_sql(f"SHOW {n}").scalar() for n in ("work_mem",)]
        found.append(connection.exec_driver_sql("SHOW application_name").scalar())
    database.close()

    assert ["8MB", "mine"] == found


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_refused(farm, made, postgres, mode):
    """A lock that is taken there is held by nobody in particular."""
    url = postgres.pooled(made, mode)
    lines = farm.write_lines(["true"])

    refused = farm.start("server", lines, "-p", 0, "--database", url)

    assert 3 == refused.wait(), refused.err
    assert "leads to a connection pooler in transaction mode" in refused.err
    assert "pool_mode = session" in refused.err


def test_a_pooler_that_shares_sessions_is_refused_while_others_use_it(made, postgres):
    """They have backends of the pool in their hands, so that the next may get any of them."""
    import psycopg

    url = postgres.pooled(made, "transaction")
    others = [psycopg.connect(url) for _ in range(3)]
    for other in others:
        other.execute("SELECT 1")
    for other in others[1:]:
        other.commit()

    with pytest.raises(DatabasePooled):
        open_database(url)
    for other in others:
        other.close()


def test_a_pooler_that_keeps_sessions_is_used(farm, made, postgres):
    """Its sessions hold locks as others do."""
    url = postgres.pooled(made, "session")

    ran = farm.start_cluster(["echo ran"], "--database", url)

    assert 0 == ran.wait(), ran.err
    assert b"ran\n" == ran.out


@pytest.mark.parametrize("password", [":wrong-secret@", "@"])
def test_a_password_that_is_refused_names_where_it_belongs(farm, made, password):
    """PGPASSWORD and .pgpass; the one that was given is not shown."""
    url = re.sub(r":[0-9a-f]{32}@", password, made)

    refused = farm.start("list", "--database", url, env={"PGPASSWORD": ""})

    assert 3 == refused.wait(), refused.err
    assert "cannot log in to the task database" in refused.err
    assert "PGPASSWORD" in refused.err
    assert "~/.pgpass" in refused.err
    assert "wrong-secret" not in refused.err


def test_a_lock_that_our_own_lost_session_holds_is_taken_again(made, postgres, relay_to):
    """Its connection broke on our side alone: PostgreSQL would believe in it for long."""
    relay = relay_to(postgres.port)
    database = open_database(postgres.through(made, relay.port))
    with database.writing() as connection:
        connection.exec_driver_sql("SELECT 1")
    relay.desert()

    def writes() -> bool:
        try:
            with database.writing() as connection:
                connection.exec_driver_sql("SELECT 1")
        except DatabaseTaken:
            return False
        return True

    until(writes, 5, "the lock is ours again")
    database.close()


def test_the_session_of_another_server_is_left_alone(made, postgres):
    """It keeps the lock, which it has by right."""
    first = open_database(made)

    with pytest.raises(DatabaseTaken):
        open_database(made)
    with first.writing() as connection:
        still = connection.exec_driver_sql("SELECT 1").scalar()
    first.close()

    assert 1 == still
