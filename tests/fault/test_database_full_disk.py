"""No room for the database: said, waited for, and nothing that was acknowledged is lost."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.components import lacks
from tests.helpers.observer import Observer
from tests.helpers.waiting import stays, until

SIZE = 2 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        lacks("the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room that there is."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return ballast


def test_a_full_disk_is_waited_for_and_the_run_goes_on(farm, small_disk):
    """The server says so, hands out nothing, and goes on by itself: each task runs once."""
    lines = [f"echo {n} >> ran" for n in range(400)]
    server = farm.start_server(lines, "--database", small_disk / "t.db")
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 20)

    ballast = fill(small_disk)
    server.expect("no tasks are handed out until it can be written again", seconds=30)
    settled = _settled(farm)
    ballast.unlink()

    assert settled < 400
    assert [0, 0] == [server.wait(60), client.wait()]
    assert "the task database can be written again" in server.err
    assert sorted(map(str, range(400))) == sorted(farm.read("ran"))


def _settled(farm) -> int:
    """How many tasks ran, once clients have run what they hold."""
    until(lambda: _is_still(farm), 30, "no more tasks are run")
    return len(farm.read("ran"))


def _is_still(farm) -> bool:
    try:
        number = len(farm.read("ran"))
        stays(lambda: len(farm.read("ran")) == number, 1.0, "still")
    except AssertionError:
        return False
    return True


def test_what_was_acknowledged_before_the_disk_was_full_is_kept(farm, small_disk):
    """A server that is killed while it waits for room: all that it had acknowledged is there."""
    path = small_disk / "t.db"
    server = farm.start_server([f"exit {n % 2}" for n in range(3000)], "--database", path)
    key = farm.environment["HYPERSHELL_AUTH"]
    observer = Observer(server.port, key, lambda command: int(command.split()[1]))
    observer.start()
    until(lambda: len(observer.acknowledged) > 200, 30, "outcomes are acknowledged")

    ballast = fill(small_disk)
    server.expect("no tasks are handed out until it can be written again", seconds=30)
    server.kill()
    acknowledged = list(observer.acknowledged)
    ballast.unlink()
    exported = farm.run("db", "export", "--database", path)
    checked = farm.run("db", "check", "--database", path)

    tasks = map(json.loads, exported.out.splitlines())
    kept = {t["id"]: t["attempts"][-1]["exit_status"] for t in tasks if t["attempts"]}
    assert 0 == checked.popen.returncode, checked.out
    assert [] == [pair for pair in acknowledged if kept.get(pair[0]) != pair[1]]


@pytest.mark.campaign
def test_a_signal_ends_a_server_that_waits_for_room(farm, small_disk):
    """It does not wait for ever: it says that it could not write to the end, and how to go on."""
    lines = [f"echo {n} >> ran" for n in range(400)]
    server = farm.start_server(lines, "--grace", 1, "--database", small_disk / "t.db")
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 20)
    ballast = fill(small_disk)
    server.expect("no tasks are handed out until it can be written again", seconds=30)

    server.signal(15)

    assert 3 == server.wait(30)
    assert "the last changes could not be written" in server.err
    client.wait(60)
    ballast.unlink()
    assert os.path.getsize(small_disk / "t.db") > 0
    again = farm.start("cluster", "--restart", "--database", small_disk / "t.db")
    assert 0 == again.wait(60), again.err
    assert set(map(str, range(400))) == set(farm.read("ran"))


def test_a_signal_ends_a_server_whose_directory_is_full_too(farm, small_disk):
    """How the run went is said, although the record of its end finds no room either."""
    site = small_disk / "site"
    lines = [f"echo {n} >> ran" for n in range(400)]
    server = farm.start_server(lines, "--grace", 0.5, "--server-dir", site)
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 20)
    fill(small_disk)
    server.expect("no tasks are handed out until it can be written again", seconds=30)

    server.signal(15)

    assert 3 == server.wait(30)
    assert "the last changes could not be written" in server.err
    assert "400 tasks: " in server.err
    client.wait(60)


def test_a_disk_without_any_room_is_refused(farm, small_disk):
    """At the start there is nothing to go on with: exit 3, and no file stays."""
    fill(small_disk)

    refused = farm.start(
        "server", farm.write_lines(["true"]), "-p", 0, "--database", small_disk / "t.db"
    )

    assert 3 == refused.wait(30), refused.err
    assert "database or disk is full" in refused.err
    assert not (small_disk / "t.db").exists()
