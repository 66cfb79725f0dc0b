"""Several runs in one server directory at once: each is found, asked, stopped and continued."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.access import complaint
from tests.helpers.farm import PROMPT, Farm, Process
from tests.helpers.waiting import until

SHORT_LEASE = ("--lease", 6, "--grace", 1)
"""After a kill nobody waits longer for clients."""


class Runs:
    """Clusters in the default directory of a farm, whose lines wait for a file."""

    def __init__(self, farm: Farm) -> None:
        farm.environment.pop("HYPERSHELL_AUTH", None)
        self.farm = farm
        self.directory = farm.folder / ".hyper-shell"

    def lines(self, name: str, number: int, gate: str = "go") -> Path:
        """A file of lines: each notes that it ran; all but the first wait for the gate."""
        path = self.farm.folder / f"{name}.txt"
        wait = f"until test -e {gate}; do sleep 0.02; done; "
        lines = [f"{wait if n else ''}echo {name}{n} >> ran-{name}" for n in range(number)]
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def start(self, path: Path, *options: object, verb: str = "cluster", **popen: Any) -> Process:
        """Start a run of a file, and wait until its first line has run."""
        run = self.farm.start(verb, path, *options, **popen)
        until(lambda: self.ran(path.stem), PROMPT, f"the first line of {path.name}\n{run}")
        return run

    def ran(self, name: str) -> list[str]:
        """What has run so far of a file's lines."""
        return sorted(self.farm.read(f"ran-{name}"))

    def open(self, gate: str = "go") -> None:
        """Let the lines run."""
        (self.farm.folder / gate).touch()

    def info(self, *options: object) -> dict[str, Any]:
        """What `server info` tells."""
        asked = self.ask("server", "info", "--json", *options)
        facts: dict[str, Any] = json.loads(asked)
        return facts

    def live(self) -> list[dict[str, Any]]:
        """The live runs, the current one first."""
        runs: list[dict[str, Any]] = self.info()["runs"]
        return runs

    def ask(self, *words: object, status: int = 0) -> str:
        """What a command prints."""
        process = self.farm.start(*words)
        assert status == process.wait(), process
        return process.out.decode()

    def count(self, *options: object) -> int:
        """How many tasks `list` finds."""
        return int(self.ask("list", "--count", *options))


def interrupt(run: Process) -> None:
    """Press Ctrl-C, and again if something still runs."""
    run.press_ctrl_c()
    until(lambda: not run.is_running or "press Ctrl-C again" in run.err, PROMPT, f"an end\n{run}")
    if run.is_running:
        run.press_ctrl_c()


@pytest.fixture
def runs(farm: Farm) -> Runs:
    """No run yet."""
    return Runs(farm)


def test_two_runs_in_two_terminals_are_apart_and_both_are_found(runs: Runs) -> None:
    """`current` stays with the first; the second is reached by its uid, and both by `all`."""
    first = runs.start(runs.lines("a", 3))
    second = runs.start(runs.lines("b", 5))
    second.expect("this run keeps its tasks apart, and commands reach it with --run")
    one, two = runs.live()
    assert [True, False] == [one["current"], two["current"]]
    uid = two["server_uid"]

    assert one["server_uid"] == runs.info()["server_uid"]
    assert uid == runs.info("--run", uid)["server_uid"]
    assert [3, 5, 8] == [runs.count(), runs.count("--run", uid), runs.count("--run", "all")]
    rows = json.loads(runs.ask("list", "--run", "all", "--format", "json"))
    assert {(n, one["server_uid"]) for n in range(1, 4)} | {(n, uid) for n in range(1, 6)} == {
        (row["id"], row["run"]) for row in rows
    }
    assert ["4"] == runs.ask("submit", "--", "true").split()
    assert ["6"] == runs.ask("submit", "--run", uid, "--", "true").split()
    waiting = runs.farm.start("wait", "--all", "--run", "all")
    runs.open()
    assert [0, 0, 0] == [first.wait(), second.wait(), waiting.wait()]
    assert [f"b{n}" for n in range(5)] == runs.ran("b")
    assert [6, 4, 10] == [
        runs.count(),  # the newest start was the second
        runs.count("--run", one["server_uid"]),
        runs.count("--run", "all"),
    ]


def test_the_second_stopped_by_ctrl_c_is_resumed_and_not_an_older_run_of_its_file(
    runs: Runs,
) -> None:
    """All twelve lines of the file run, once each, though its older run had all of its four."""
    path = runs.lines("b", 4, gate="first")
    runs.open("first")
    assert 0 == runs.farm.start("cluster", path).wait()
    (runs.farm.folder / "ran-b").unlink()
    held = runs.start(runs.lines("a", 2, gate="hold"))
    runs.lines("b", 12)

    second = runs.start(path)
    interrupt(second)
    assert 130 == second.wait()
    runs.open()
    resumed = runs.farm.start("cluster", path, "--resume")

    assert 0 == resumed.wait()
    runs.open("hold")
    assert 0 == held.wait()
    assert "is still running, and its tasks are left to it" in resumed.err
    assert sorted(f"b{n}" for n in range(12)) == runs.ran("b")


def test_a_run_that_still_runs_is_not_resumed_by_an_older_one(runs: Runs) -> None:
    """The newest run of that file lives: it is named, and nothing is done."""
    path = runs.lines("b", 2, gate="first")
    runs.open("first")
    assert 0 == runs.farm.start("cluster", path).wait()
    (runs.farm.folder / "ran-b").unlink()
    held = runs.start(runs.lines("a", 2))
    runs.lines("b", 2)
    second = runs.start(path)

    resumed = runs.farm.start("cluster", path, "--resume")

    complaint(resumed, 3, r"run \w+ of \S+b\.txt is still running: server \w+, pid", "--run")
    runs.open()
    assert [0, 0] == [held.wait(), second.wait()]


@pytest.mark.campaign
def test_a_restart_runs_what_every_idle_run_left(runs: Runs) -> None:
    """One after the other, each in its own database; what a server has is left to it."""
    first = runs.start(runs.lines("a", 3))
    second, third = (runs.start(runs.lines(name, 3), *SHORT_LEASE) for name in ("b", "c"))
    for process in (second, third):
        process.kill()
    until(lambda: len(runs.live()) == 1, PROMPT, "one run is left")
    runs.open()
    restarted = runs.farm.start("cluster", "--restart", *SHORT_LEASE)

    assert [0, 0] == [restarted.wait(60), first.wait()]
    for name in ("a", "b", "c"):
        assert [f"{name}{n}" for n in range(3)] == sorted(set(runs.ran(name)))
    assert 0 == runs.count("--run", "all", "--remaining")


@pytest.mark.campaign
def test_a_third_run_becomes_current_when_the_first_has_ended(runs: Runs) -> None:
    """And the one that is left alone before is found without being named."""
    first = runs.start(runs.lines("a", 2, gate="one"))
    second = runs.start(runs.lines("b", 2, gate="two"))
    runs.open("one")
    assert 0 == first.wait()

    (alone,) = runs.live()
    assert alone["server_uid"] == runs.info()["server_uid"]
    assert ["3"] == runs.ask("submit", "--", "true").split()
    third = runs.start(runs.lines("c", 2, gate="three"))
    assert [True, False] == [run["current"] for run in runs.live()]
    assert alone["server_uid"] != runs.info()["server_uid"]
    runs.ask("server", "stop")
    runs.ask("server", "stop")

    assert [1, 1] == [third.wait(), second.wait()]


def test_of_several_that_are_left_one_has_to_be_named(runs: Runs) -> None:
    """Nothing is stopped or submitted by guess."""
    first = runs.start(runs.lines("a", 2, gate="one"))
    others = [runs.start(runs.lines(name, 2, gate="two")) for name in ("b", "c")]
    runs.open("one")
    assert 0 == first.wait()

    stop = runs.farm.start("server", "stop")

    complaint(stop, 2, "several servers are running in .* none of them is the current one", "--run")
    table = runs.ask("server", "info")
    assert "2 live runs" in table
    for run in runs.live():
        runs.ask("server", "stop", "--run", run["server_uid"])
    assert [1, 1] == [other.wait() for other in others]


@pytest.mark.campaign
def test_ids_that_several_runs_have_are_refused(runs: Runs) -> None:
    """Where no server says which is meant; with the run they are found."""
    first, second = runs.start(runs.lines("a", 2)), runs.start(runs.lines("b", 2))
    uid = runs.live()[1]["server_uid"]
    runs.open()
    assert [0, 0] == [first.wait(), second.wait()]

    info = runs.farm.start("info", "2")

    complaint(info, 2, "several runs have tasks with these ids", "--run UID")
    assert "b1" in runs.ask("info", "2", "--run", uid)
    complaint(runs.farm.start("list", "--run", "nobody"), 2, "there is no run nobody")


def test_commands_in_a_task_find_its_own_server(runs: Runs) -> None:
    """Whether that is the current one or not."""
    submit = "$HYPERSHELL submit -- 'echo more >> MORE'"
    held = runs.start(runs.lines("a", 2))
    path = runs.farm.folder / "b.txt"
    words = " ".join(["python3", "-m", "hypershell"])
    path.write_text(submit.replace("$HYPERSHELL", words).replace("MORE", "more-b") + "\n")

    second = runs.farm.start("cluster", path, env={"PATH": f"{_bin()}:{os.environ['PATH']}"})

    assert 0 == second.wait(), second
    assert ["more"] == runs.farm.read("more-b")
    assert 2 == runs.count()
    runs.open()
    assert 0 == held.wait()


def _bin() -> Path:
    return Path(sys.executable).parent


def test_old_run_directories_go_and_unfinished_ones_stay(runs: Runs) -> None:
    """The last two are kept, and what has tasks that are not final, or a server, however old."""
    first = runs.start(runs.lines("a", 2, gate="one"))
    second = runs.start(runs.lines("b", 2, gate="two"), *SHORT_LEASE)
    second.kill()
    runs.open("one")
    assert 0 == first.wait()
    short = runs.farm.folder / "short.txt"
    short.write_text("true\n")

    for _ in range(3):
        assert 0 == runs.farm.start("cluster", short, "--keep-runs", 2).wait()

    names = sorted(path.name for path in runs.directory.iterdir() if path.name.isdigit())
    assert ["002", "004", "005"] == names
    runs.open("two")
    assert 0 == runs.farm.start("cluster", "--restart", *SHORT_LEASE).wait()
    assert ["b0", "b1"] == sorted(set(runs.ran("b")))


def test_a_run_in_memory_is_not_resumed_by_an_older_one(runs: Runs) -> None:
    """What it left undone is nowhere: its file has to be run from its first line."""
    path = runs.lines("a", 1)
    assert 0 == runs.farm.start("cluster", path).wait()
    server = runs.farm.start("server", path, "--no-db")
    server.expect("listening on")
    runs.ask("server", "stop")
    assert 0 == server.wait()

    resumed = runs.farm.start("cluster", path, "--resume")

    complaint(resumed, 3, "was kept in memory", "omit --resume")
    shutil.rmtree(runs.directory)


@pytest.mark.parametrize("option", ["-f", "--joblog"])
def test_a_file_that_a_live_run_writes_is_refused_to_another(runs, option):
    """Also to one that keeps nothing and has another directory; the first loses no line."""
    first = runs.start(runs.lines("first", 3), option, "written")
    before = (runs.farm.folder / "written").read_bytes()

    refused = runs.farm.start_cluster(
        ["false"], option, "written", "--no-db", "--overwrite", "--server-dir", "other"
    )

    assert 3 == refused.wait()
    assert "is being written by another run" in refused.err
    assert (runs.farm.folder / "written").read_bytes().startswith(before)
    runs.open()
    assert 0 == first.wait()
