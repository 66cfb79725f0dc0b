"""A process that is killed between any two of its steps on the disk."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hypershell.access.access_file import write
from hypershell.access.endpoints import generate
from hypershell.access.keyring import Keyring
from hypershell.serverdir.directory import ServerDirectory
from tests.helpers.access import read

STEPS = (
    "mkdir",
    "chmod",
    "open",
    "fchmod",
    "write",
    "fsync",
    "link",
    "symlink",
    "replace",
    "unlink",
)
"""What changes a directory or a file; before each of these the process may come to its end."""

MAX_STEPS = 200


def killed_before(step: int, function: Callable[[], None]) -> None:
    """Run a function and kill this process before it takes that step, counted from 0."""
    left = step

    def counted(name: str) -> Callable:
        original = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return original(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, counted(name))
    function()


@pytest.fixture
def killed_everywhere(fork):
    """Call `prepare`, have `function` killed before its first step, and `check`; then its second
    and so on until it comes to its end. Both get a folder of their own. The number of steps."""

    def run(folder: Path, prepare: Callable, function: Callable, check: Callable) -> int:
        for step in range(MAX_STEPS):
            place = folder / f"step{step}"
            place.mkdir(mode=0o700)
            prepare(place)
            pid = fork(lambda at=place, step=step: killed_before(step, lambda: function(at)))
            _, status = os.waitpid(pid, 0)
            check(place)
            if os.WIFEXITED(status):
                assert 0 == os.WEXITSTATUS(status)
                return step
        raise AssertionError("it never ended")

    return run


def test_an_access_file_is_there_whole_or_not_at_all(tmp_path, access, ring, killed_everywhere):
    """And it can be made after it was not."""
    seal = ring.new_seal()

    def check(place: Path) -> None:
        if not (place / "a.json").exists():
            write(place / "a.json", access, seal)
        assert access == read(place / "a.json", ring)

    steps = killed_everywhere(
        tmp_path, lambda place: None, lambda place: write(place / "a.json", access, seal), check
    )

    assert steps >= 6


def test_a_seal_key_is_there_whole_or_not_at_all(tmp_path, killed_everywhere):
    """The next one to need it makes it, or finds it."""

    def make(place: Path) -> None:
        Keyring(place / "config" / "seal.key").new_seal()

    steps = killed_everywhere(tmp_path, lambda place: None, make, make)

    assert steps >= 8


def test_a_start_leaves_the_old_run_or_the_new_one(tmp_path, access, ring, killed_everywhere):
    """Killed anywhere in it: the next start finds the keys of one of the two, and goes ahead."""
    old, seal = generate(("old", 1), ("old", 2)), ring.new_seal()

    def prepare(place: Path) -> None:
        with ServerDirectory(place).hold() as held:
            held.start_run(old, seal)

    def start(place: Path) -> None:
        ServerDirectory(place).hold().start_run(access, seal)

    def check(place: Path) -> None:
        directory = ServerDirectory(place)
        assert read(directory.find_access(), ring) in (old, access)
        with directory.hold() as held:
            before = held.predecessor()
            assert before is not None
            assert before.record is not None
            assert read(before.access_path, ring) in (old, access)
            run = held.start_run(access, seal)
            run.end("stopped")
        assert not os.path.lexists(place / "current")
        assert not os.path.lexists(place / "claim")

    steps = killed_everywhere(tmp_path, prepare, start, check)

    assert steps >= 25


def test_an_end_is_clean_or_a_death(tmp_path, access, ring, killed_everywhere):
    """Killed anywhere in it: there is something to take over, or there is not, and never half."""
    seal = ring.new_seal()

    def serve(place: Path) -> None:
        with ServerDirectory(place).hold() as held:
            held.start_run(access, seal).end("stopped")

    def check(place: Path) -> None:
        with ServerDirectory(place).hold() as held:
            before = held.predecessor()
            if before is not None:
                assert access == read(before.access_path, ring)
            held.start_run(access, seal)

    steps = killed_everywhere(tmp_path, lambda place: None, serve, check)

    assert steps >= 30
