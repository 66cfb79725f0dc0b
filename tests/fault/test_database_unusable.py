"""A database that cannot be used: one line that says why and one that says what to do, exit 3."""

import os
import re
import resource
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hypershell.store.sql.schema import VERSION
from tests.helpers.farm import PROGRAM, Farm
from tests.helpers.waiting import until


def database_of(farm: Farm) -> Path:
    """The default database, after a short run."""
    assert 1 == farm.start_cluster(["true", "false"]).wait()
    (path,) = farm.folder.rglob("hyper-shell.db")
    return path


def refusal(farm: Farm, *words: object) -> str:
    """What a server says that cannot start: an error and a hint, and nothing of a traceback."""
    refused = farm.start(*(words or ("server", "--restart", "-p", 0)))
    assert 3 == refused.wait(), refused.err
    assert re.search(r"^hyper-shell: error: .*\nhint: .*\n\Z", refused.err, re.MULTILINE)
    return refused.err


def test_a_damaged_file_is_refused(farm):
    """Noise where the database was, and the pages of its tables overwritten."""
    path = database_of(farm)
    whole = path.read_bytes()

    path.write_bytes(b"noise" * 1000)
    noise = refusal(farm)
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    torn = refusal(farm)

    assert "is damaged: file is not a database" in noise
    assert "is damaged: database disk image is malformed" in torn
    assert "hyper-shell db check" in noise


def test_a_newer_layout_is_refused(farm):
    """A later release wrote it: nothing in it is touched."""
    path = database_of(farm)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'version'", [VERSION + 1])
        connection.commit()
    before = path.read_bytes()

    said = refusal(farm)

    assert f"has layout {VERSION + 1}; this release supports {VERSION}" in said
    assert before == path.read_bytes()


def test_a_database_of_something_else_is_refused(farm):
    """It is left as it is."""
    path = farm.folder / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
        connection.commit()

    said = refusal(farm, "server", "--restart", "-p", 0, "--database", path)

    assert f"{path} is not a hyper-shell database" in said


def test_a_locked_database_is_refused_after_a_while(farm):
    """Another program writes to it and does not end."""
    path = database_of(farm)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")

        said = refusal(farm)

    assert "is locked by another process" in said
    assert "lsof" in said


def test_a_database_that_is_locked_in_mid_run_is_waited_for(farm):
    """The server says so, hands out nothing more, and goes on by itself; nothing runs twice."""
    lines = [f"echo {n} >> ran" for n in range(300)]
    server = farm.start_server(lines, "--lease", 30)
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 20)
    path = farm.folder / ".hyper-shell" / "hyper-shell.db"

    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        server.expect("is locked by another process.*; no tasks are handed out", seconds=30)
        connection.execute("ROLLBACK")

    assert [0, 0] == [server.wait(60), client.wait()]
    assert "the task database can be written again" in server.err
    assert sorted(map(str, range(300))) == sorted(farm.read("ran"))


def test_a_read_only_file_is_refused(farm, need):
    """Before anything is run; also where the rights of root would not care."""
    path = database_of(farm)
    path.chmod(0o400)
    powerless = [need("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]
    command = [*PROGRAM, "server", "--restart", "-p", "0"]

    refused = farm.spawn([*powerless, *command] if os.geteuid() == 0 else command)

    assert 3 == refused.wait(), refused.err
    assert "the file is read-only" in refused.err
    assert "hint: make sure that it can be read and written" in refused.err


def test_a_directory_without_room_for_files_is_refused(farm):
    """A name that is a directory, one below a file, and one in no directory."""
    (farm.folder / "folder").mkdir()
    (farm.folder / "file").touch()

    said = [
        refusal(farm, "server", "--forever", "-p", 0, "--database", farm.folder / name)
        for name in ("folder", "file/t.db", "nowhere/t.db")
    ]

    assert all("cannot use the task database" in text for text in said)


def test_two_servers_cannot_share_a_database(farm):
    """The second is told so, also where it has another directory; the first goes on."""
    path = farm.folder / "shared.db"
    server = farm.start_server(["until test -e go; do sleep 0.05; done"], "--database", path)
    client = farm.start_client()
    client.expect("joined")

    other = farm.start(*("server", "--restart", "-p", 0, "--database", path), env=farm.elsewhere())

    assert 3 == other.wait(), other.err
    assert re.search("error: another server is using the task database", other.err)
    (farm.folder / "go").touch()
    assert [0, 0] == [server.wait(), client.wait()]


def test_a_server_without_descriptors_to_spare_goes_on(farm):
    """Each new connection fails for a while (EMFILE); the database is open, and stays it."""
    lines = [f"echo {n} >> ran" for n in range(200)]
    server = farm.start_server([*lines, "until test -e go; do sleep 0.05; done"])
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 10)
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)

    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, hard))
    farm.wait_for_lines("ran", 200)
    checked = farm.run("db", "check")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
    (farm.folder / "go").touch()

    assert [0, 0] == [server.wait(), client.wait()]
    assert b"is intact" in checked.out
    assert sorted(map(str, range(200))) == sorted(farm.read("ran"))


def test_a_start_without_descriptors_is_refused(farm):
    """EMFILE at the opening of the database: a line that says so, and no traceback."""
    database_of(farm)

    refused = farm.spawn_shell("ulimit -n 9; exec $HYPERSHELL server --restart -p 0")

    assert 3 == refused.wait(), refused.err
    assert "too many open files" in refused.err


@pytest.mark.campaign
def test_a_server_that_is_short_of_descriptors_has_not_ended(farm):
    """Whatever a verb then gets or does not get, it does not say that the server ended."""
    server = farm.start_server(["sleep 60"])
    until(lambda: server.err.count("\n"), 10, "it runs")
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{server.pid}/fd")}
    free = [number for number in range(max(used) + 20) if number not in used]

    said = []
    for spare in range(4):
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (free[spare], hard))
        said += [farm.run("list", seconds=90), farm.run("server", "info", seconds=90)]
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
    server.signal(signal.SIGTERM)

    assert 143 == server.wait()
    assert {3, 4} >= {each.popen.returncode for each in said} - {0}
    assert not [each for each in said if re.search(r"ended|died|no such table", each.err)]
    assert 2 >= server.err.count("cannot accept connections")
