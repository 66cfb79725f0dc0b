"""A database that neither works nor fails: a stopped PostgreSQL, a frozen disk, a dead network.

It is said within seconds, by the server and to who asks; nobody takes it for the end of the server.
"""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hypershell.store.sql.engine import initialize_database
from tests.helpers.components import lacks
from tests.helpers.farm import PROGRAM, ROOT, Farm
from tests.helpers.postgres import Postgres

SECONDS = 5.0
"""Within this it must be said."""

SLACK = 2.5
"""For the start of a program on a busy machine."""


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    """A PostgreSQL of its own, which may be stopped."""
    cluster = Postgres(fsync=True)
    yield cluster
    cluster.thaw()
    cluster.close()


@pytest.fixture
def disk(tmp_path: Path, need: Callable[[str], str]) -> Iterator[Path]:
    """A disk that can be frozen."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(32 * 2**20)
    subprocess.run([need("mkfs.ext4"), "-q", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True)
    if mounted.returncode != 0:
        lacks("the right to mount a disk")
    yield folder
    subprocess.run(["fsfreeze", "-u", folder], capture_output=True, check=False)
    subprocess.run(["umount", "-l", folder], check=True)


class Distant:
    """A PostgreSQL on a machine of its own, which a cable joins to ours."""

    def __init__(self) -> None:
        self._name = f"pg-{secrets.token_hex(3)}"
        self._password = secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="hyper-shell-pg-", dir="/tmp"))
        self.url = f"postgresql://farm:{self._password}@10.99.0.2:5432/farm"
        self._run("netns-up.sh", self._name)
        up = ("pg-up.sh", self._folder, "5432", "on", "10.99.0.2")
        self._run(*up, inside="b")
        options = ["-X", "-q", "-h", self._folder, "-U", "postgres"]
        statement = "CREATE DATABASE farm OWNER farm"
        subprocess.run(["psql", *options, "-c", statement], check=True)

    def here(self, *words: object) -> list[str]:
        """A command on our machine."""
        return ["ip", "netns", "exec", f"{self._name}-a", *map(str, words)]

    def cable(self, state: str) -> None:
        """Pull it (`down`): all that is sent is lost, and nobody is told. Or plug it in (`up`)."""
        command = ["ip", "-n", f"{self._name}-b", "link", "set", "eth0", state]
        subprocess.run(command, check=True)

    def close(self) -> None:
        """End it, and both machines."""
        self._run("pg-down.sh", self._folder)
        self._run("netns-down.sh", self._name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, script: str, *words: object, inside: str = "") -> None:
        command = [ROOT / "tests" / "services" / script, *map(str, words)]
        if inside:
            command = ["ip", "netns", "exec", f"{self._name}-{inside}", *command]
        environment = os.environ | {"PGPASSWORD": self._password}
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        if ended.returncode == 77:
            lacks(ended.stderr.strip())
        assert 0 == ended.returncode, ended.stderr


@pytest.fixture
def distant() -> Iterator[Distant]:
    """One, brought up for a test."""
    distant = Distant()
    yield distant
    distant.close()


def says_that_it_hangs(farm: Farm, *words: object) -> str:
    """What a verb says that cannot be carried out; it does not take long over it."""
    began = time.monotonic()
    asked = farm.run(*words)

    assert time.monotonic() - began < SECONDS + SLACK
    assert 3 == asked.popen.returncode, asked.err
    assert "does not answer" in asked.err
    assert "ended" not in asked.err
    return asked.err


def hang_and_heal(
    farm: Farm, options: tuple[object, ...], hang: Callable[[], object], heal: Callable[[], object]
) -> None:
    """A run whose database hangs for a while; what is said meanwhile, and that it goes on."""
    lines = [f"echo {n} >> ran; sleep 0.05" for n in range(150)]
    server = farm.start_server(lines, *options)
    client = farm.start_client("-N", 2)
    farm.wait_for_lines("ran", 20)

    hang()
    began = time.monotonic()
    server.expect("the task database .* does not answer; no tasks are handed out", seconds=10)
    took = time.monotonic() - began
    for verb in (
        ["list"],
        ["list", "--count"],
        ["failures"],
        ["cancel", "1"],
        ["submit", "--", "true"],
    ):
        says_that_it_hangs(farm, *verb)
    info = farm.run("server", "info")
    heal()

    assert took < SECONDS
    assert re.search(rb"has not answered for \d+ s", info.out), info
    assert [0, 0] == [server.wait(60), client.wait()], server.err
    assert "the task database can be written again" in server.err
    assert sorted(map(str, range(150))) == sorted(farm.read("ran"))


@pytest.mark.campaign
def test_a_stopped_postgresql_is_said(farm, cluster):
    """Its kernel still takes all that is sent to it: no timeout of the network ever passes."""
    url = cluster.new_url()
    initialize_database(url)

    hang_and_heal(farm, ("--database", url), cluster.freeze, cluster.thaw)


@pytest.mark.campaign
def test_a_frozen_disk_is_said(farm, disk):
    """Nothing can end a call of the system that hangs there."""
    freeze, thaw = (["fsfreeze", option, disk] for option in ("-f", "-u"))

    hang_and_heal(
        farm,
        ("--database", disk / "tasks.db"),
        lambda: subprocess.run(freeze, check=True),
        lambda: subprocess.run(thaw, check=True),
    )


@pytest.mark.campaign
def test_an_idle_server_finds_out_when_it_is_asked(farm, cluster):
    """It has nothing to write, so that it cannot know before."""
    url = cluster.new_url()
    initialize_database(url)
    server = farm.start("server", "--forever", "-p", 0, "--database", url)
    server.expect("listening")
    assert 0 == farm.run("list").popen.returncode

    cluster.freeze()
    first = says_that_it_hangs(farm, "list")
    says_that_it_hangs(farm, "submit", "--", "true")
    cluster.thaw()
    again = farm.run("submit", "--", "true")

    assert "cannot use the task database" in first
    assert 0 == again.popen.returncode, again.err
    assert "does not answer" in server.err


@pytest.mark.campaign
def test_a_slow_answer_is_waited_for(farm, cluster):
    """A question may take long, as long as the database answers others."""
    url = cluster.new_url()
    initialize_database(url)
    server = farm.start("server", "--forever", "-p", 0, "--database", url)
    server.expect("listening")
    cluster.execute("ALTER TABLE tasks RENAME TO real_tasks", url)
    columns = "CREATE VIEW tasks AS SELECT * FROM real_tasks"
    cluster.execute(f"{columns} WHERE (SELECT pg_sleep(6)) IS NOT NULL", url)
    cluster.execute("INSERT INTO facts VALUES ('slow', '')", url)

    counted = farm.run("list", "--count")

    assert 0 == counted.popen.returncode, counted.err
    assert b"0\n" == counted.out


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seconds", [10, 60, 300])
def test_a_network_that_is_silent_for_long_is_survived(farm, distant, seconds):
    """Each task runs once; the lock that PostgreSQL left to our dead session is taken again."""
    lines = [f"echo {n} >> ran; sleep 0.05" for n in range(300)]
    path = farm.write_lines(lines)
    made = farm.spawn(distant.here(*PROGRAM, "initdb", "--database", distant.url))
    assert 0 == made.wait(), made.err
    words = ("cluster", path, "-N", 2, "--database", distant.url)
    cluster = farm.spawn(distant.here(*PROGRAM, *words))
    farm.wait_for_lines("ran", 50)

    distant.cable("down")
    began = time.monotonic()
    cluster.expect("does not answer; no tasks are handed out")
    said = time.monotonic() - began
    time.sleep(seconds)  # the length of the silence is what is tried
    distant.cable("up")

    assert 0 == cluster.wait(90), cluster.err
    assert said < SECONDS + 1
    assert sorted(map(str, range(300))) == sorted(farm.read("ran"))
    checked = farm.spawn(distant.here(*PROGRAM, "db", "check", "--database", distant.url))
    assert 0 == checked.wait(), checked.out
