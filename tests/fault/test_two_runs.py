"""Runs beside each other in one server directory that are killed, or find no room."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers.access import complaint
from tests.helpers.components import lacks
from tests.helpers.farm import PROMPT, Farm, Process, rarely
from tests.helpers.waiting import until

LEASE = ("--lease", 6, "--grace", 1)


def write(farm: Farm, name: str, lines: list[str]) -> Path:
    """A file of lines under this name."""
    path = farm.folder / f"{name}.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def gated(name: str, number: int) -> list[str]:
    """Lines that note that they ran, each once at a time; all but the first wait for `go`."""
    wait = "until test -e go; do sleep 0.02; done; "
    lines = [f"{wait if n else ''}echo {name}{n} >> ran-{name}" for n in range(number)]
    once = f"flock -n lock-{name}"
    return [f"{once}-{n} sh -c '{line}' || echo >> twice" for n, line in enumerate(lines)]


def start(farm: Farm, path: Path, *options: object) -> Process:
    """Start a cluster, and wait until its first line has run."""
    farm.environment.pop("HYPERSHELL_AUTH", None)
    run = farm.start("cluster", path, *LEASE, *options)
    until(lambda: farm.read(f"ran-{path.stem}"), PROMPT, f"the first line of {path.name}\n{run}")
    return run


@pytest.mark.parametrize("victim", ["first", rarely("second"), rarely("both")])
def test_what_a_killed_run_left_is_resumed_from_its_own_database(farm: Farm, victim: str) -> None:
    """Either of two, or both: every line of both files runs, none twice at a time."""
    files = {name: write(farm, name, gated(name, 6)) for name in ("a", "b")}
    runs = {"first": start(farm, files["a"]), "second": start(farm, files["b"])}
    killed = [name for name in runs if victim in (name, "both")]
    for name in killed:
        runs[name].kill()
    (farm.folder / "go").touch()

    resumed = [
        farm.start("cluster", files["a" if name == "first" else "b"], "--resume", *LEASE)
        for name in killed
    ]
    survivors = [run for name, run in runs.items() if name not in killed]

    assert [0] * 2 == [run.wait(60) for run in [*resumed, *survivors]]
    for name in files:
        assert {f"{name}{n}" for n in range(6)} == set(farm.read(f"ran-{name}"))
    assert not farm.read("twice")


def test_a_resume_never_succeeds_on_an_older_run_of_the_file(farm: Farm) -> None:
    """Four lines that all ran, then twelve in a second run that is killed: twelve have run after
    `--resume`, or its exit status is not 0.
    """
    path = write(farm, "b", ["echo old >> old"] * 4)
    farm.environment.pop("HYPERSHELL_AUTH", None)
    assert 0 == farm.start("cluster", path).wait()
    held = start(farm, write(farm, "a", gated("a", 2)))
    write(farm, "b", gated("b", 12))
    second = start(farm, path)

    early = farm.start("cluster", path, "--resume")
    assert 3 == early.wait(), early
    second.kill()
    (farm.folder / "go").touch()
    resumed = farm.start("cluster", path, "--resume", *LEASE)

    assert [0, 0] == [resumed.wait(60), held.wait()]
    assert {f"b{n}" for n in range(12)} == set(farm.read("ran-b"))
    assert 4 == len(farm.read("old"))
    assert not farm.read("twice")


@pytest.mark.parametrize("number", [2, rarely(3), rarely(8)])
def test_starts_at_the_same_instant_each_run_their_own_lines(farm: Farm, number: int) -> None:
    """One becomes current; each has its own tasks, and all of them."""
    farm.environment.pop("HYPERSHELL_AUTH", None)
    files = [
        write(farm, f"f{n}", [f"echo {k} >> ran-f{n}" for k in range(5)]) for n in range(number)
    ]
    script = "until test -e gate; do sleep 0.01; done; exec $HYPERSHELL cluster {}"
    runs = [farm.spawn_shell(script.format(path)) for path in files]

    (farm.folder / "gate").touch()

    assert [0] * number == [run.wait(60) for run in runs]
    for n in range(number):
        assert 5 == len(farm.read(f"ran-f{n}"))
    listed = farm.run("list", "--count", "--run", "all", "--succeeded")
    assert 5 * number == int(listed.out), listed
    directory = farm.folder / ".hyper-shell"
    assert sum((path / "tasks.db").exists() for path in directory.iterdir()) == number - 1


def test_a_second_database_that_finds_no_room_ends_the_start(farm: Farm, tmp_path: Path) -> None:
    """With 3, before anything runs, and nothing is left of it: no run in memory instead."""
    directory = tmp_path / "small"
    directory.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k,mode=700", "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        lacks("the right to mount a tmpfs")
    try:
        farm.environment["HYPERSHELL_SERVER_DIR"] = str(directory)
        held = start(farm, write(farm, "a", gated("a", 2)))
        ballast = directory / "ballast"
        fill(ballast)

        second = farm.start("cluster", write(farm, "b", gated("b", 2)))

        complaint(second, 3)
        assert not farm.read("ran-b")
        ballast.unlink()
        names = {path.name for path in directory.iterdir() if path.name.isdigit()}
        assert {"001"} == names
        (farm.folder / "go").touch()
        assert 0 == held.wait()
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(path: Path) -> None:
    """Take all the room that there is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (4096, 512, 1):
            while True:
                try:
                    os.write(descriptor, b"x" * size)
                except OSError:
                    break
    finally:
        os.close(descriptor)


@pytest.mark.campaign
def test_a_second_run_beside_one_in_postgresql_has_a_database_of_its_own(
    farm: Farm, postgres_url: str
) -> None:
    """It says so, and its tasks are found afterwards."""
    farm.environment["HYPERSHELL_DATABASE"] = postgres_url
    assert 0 == farm.run("initdb").wait()
    held = start(farm, write(farm, "a", gated("a", 2)))

    second = start(farm, write(farm, "b", gated("b", 2)))
    (farm.folder / "go").touch()

    assert [0, 0] == [held.wait(), second.wait()]
    assert "another server is using the task database" in second.err
    assert "the tasks of this run are in" in second.err
    assert b"4" == farm.run("list", "--count", "--run", "all").out.strip()


def test_a_database_with_a_setting_of_a_later_release_is_said_to_have_one(farm: Farm) -> None:
    """With 3, by a run that would have to run that task, and by whoever asks for it."""
    farm.environment.pop("HYPERSHELL_AUTH", None)
    assert 1 == farm.start("cluster", write(farm, "a", ["false"])).wait()
    database = farm.folder / ".hyper-shell" / "hyper-shell.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("""UPDATE tasks SET spec = '{"warp":9}'""")

    for words in (["list"], ["info", "1"], ["cluster", "--restart"], ["db", "export"]):
        complaint(farm.run(*words), 3, "cannot read task 1 of the task database: 'warp' is not a")
