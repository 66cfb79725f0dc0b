"""`hyper-shell db` and `hyper-shell initdb` from the command line."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.helpers.farm import Farm


def done(farm: Farm, *words: object, **settings: Any) -> str:
    """Run a verb to its end; what it printed."""
    process = farm.start(*words, **settings)
    assert 0 == process.wait(), process.err
    return process.out.decode("utf-8", "surrogateescape")


def test_check_and_export_say_what_a_run_left(farm):
    """With a file of FILE lines in the default database, after the run."""
    assert 1 == farm.start_cluster(["true", "exit 3", "true"]).wait()

    checked = done(farm, "db", "check")
    exported = done(farm, "db", "export")
    done(farm, "db", "export", "--format", "csv", "tasks.csv")

    assert "is intact: 3 tasks (2 succeeded, 1 failed), 3 attempts, 1 run" in checked
    tasks = [json.loads(line) for line in exported.splitlines()]
    assert ["true", "exit 3", "true"] == [task["line"] for task in tasks]
    assert 4 == len(farm.read("tasks.csv"))


def test_they_may_be_asked_while_a_server_runs(farm):
    """Readers do not need the directory; `vacuum` does, and says who has it."""
    server = farm.start_server(["true", "until test -e go; do sleep 0.05; done"])
    client = farm.start_client()
    client.expect("joined")

    checked = done(farm, "db", "check")
    refused = farm.start("db", "vacuum")

    assert "is intact: 2 tasks" in checked
    assert 3 == refused.wait()
    assert "hint: " in refused.err
    (farm.folder / "go").touch()
    assert [0, 0] == [server.wait(), client.wait()]


def test_vacuum_says_what_it_gained(farm):
    """When no server runs."""
    assert 0 == farm.start_cluster(["true"]).wait()

    said = done(farm, "db", "vacuum")

    assert "MiB before" in said


def test_an_export_only_takes_the_place_of_an_export(farm):
    """Not of the list of tasks, nor of the database itself, which goes on as it is."""
    path = farm.write_lines(["true"])
    assert 0 == farm.run("cluster", path).wait()
    for _ in range(2):
        done(farm, "db", "export", "tasks.csv")
    done(farm, "db", "export", "--format", "joblog", "tasks.csv")

    refused = [farm.run("db", "export", name) for name in (path, ".hyper-shell/hyper-shell.db")]

    assert [3, 3] == [each.wait() for each in refused]
    assert all("is not an earlier export" in each.err for each in refused)
    assert "true\n" == path.read_text()
    done(farm, "db", "check")


@pytest.mark.parametrize("verb", ["check", "vacuum", "export"])
def test_without_a_database_they_say_so(farm, verb):
    """Exit 3, and none is made."""
    refused = farm.start("db", verb)

    assert 3 == refused.wait()
    assert "there is no task database" in refused.err
    assert not list(farm.folder.rglob("*.db"))


def test_check_of_a_damaged_database_fails(farm):
    """A line on standard output for each thing that is wrong, exit 3 and a hint."""
    assert 0 == farm.start_cluster(["true", "true"]).wait()
    (path,) = farm.folder.rglob("hyper-shell.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM attempts")
        connection.commit()

    checked = farm.start("db", "check")

    assert 3 == checked.wait()
    assert b"task 1 succeeded without having run (and 1 more)\n" in checked.out
    assert "is damaged" in checked.err


def test_initdb_prepares_postgresql_and_may_be_run_again(farm, postgres_url):
    """Before it a server refuses, and names it; the password is shown nowhere."""
    lines = farm.write_lines(["echo ran"])
    refused = farm.start("server", lines, "--database", postgres_url, "-p", 0)
    assert 3 == refused.wait()

    first = done(farm, "initdb", "--database", postgres_url)
    again = done(farm, "initdb", env={"HYPERSHELL_DATABASE": postgres_url})

    assert "hyper-shell initdb" in refused.err
    assert first.startswith("created the hyper-shell tables")
    assert again.startswith("the hyper-shell tables already exist in")
    password = postgres_url.split(":")[2].split("@")[0]
    assert password not in first + again + refused.err
    assert 0 == farm.start("cluster", lines, "--database", postgres_url).wait()


def test_a_database_that_does_not_answer_is_told(farm):
    """One line, with what the driver says."""
    refused = farm.start("initdb", "--database", "postgresql://farm@127.0.0.1:1/farm")

    assert 3 == refused.wait()
    assert "Connection refused" in refused.err
