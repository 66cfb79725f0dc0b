"""No room for failed lines or for what tasks print: it is said, and the run finishes."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.components import lacks
from tests.helpers.waiting import until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        lacks("the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_device_under_the_failures_is_said_and_the_run_finishes(farm):
    """`-f /dev/full`: every task runs; one error says why, one how many lines are missing."""
    lines = [f"echo {n} >> ran; test {n} -gt 2" for n in range(10)]

    cluster = farm.start_cluster(lines, "-f", "/dev/full")

    assert 1 == cluster.wait()
    assert 10 == len(farm.read("ran"))
    assert "cannot write /dev/full: no space left on device" in cluster.err
    assert "3 failed lines could not be written to /dev/full" in cluster.err


def test_failed_lines_wait_for_room_and_are_whole(farm, small_disk):
    """A full disk holds whole lines only; once there is room, those that waited follow."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    lines = [f"false {n:03} " + "x" * 990 for n in range(60)]
    server = farm.start_server(
        [*lines, "until test -e go; do sleep 0.05; done"], "-f", small_disk / "f"
    )
    client = farm.start_client()

    server.expect("cannot write .*: no space left on device; retrying")
    torn = (small_disk / "f").read_bytes()
    ballast.unlink()
    until(lambda: len((small_disk / "f").read_bytes().splitlines()) == 60, 10, "all lines")
    (farm.folder / "go").touch()

    assert [1, 0] == [server.wait(), client.wait()]
    assert torn.endswith(b"\n")
    assert lines == (small_disk / "f").read_text().splitlines()


def test_a_disk_that_stays_full_makes_the_run_fail(farm, small_disk):
    """What could be written is whole; how many lines are missing is said; exit 1."""
    lines = [f"false {n:03} " + "x" * 990 for n in range(100)]

    cluster = farm.start_cluster(lines, "-f", small_disk / "f")

    assert 1 == cluster.wait()
    written = (small_disk / "f").read_text().splitlines()
    assert lines[: len(written)] == written
    assert f"{100 - len(written)} failed lines could not be written" in cluster.err


def test_output_of_tasks_on_a_full_device_is_said_once(farm):
    """`-o /dev/full`: the tasks end as they would, and the client says that it cannot write."""
    server = farm.start_server(["echo something"] * 5)

    client = farm.start_client("-o", "/dev/full")

    assert [0, 0] == [server.wait(), client.wait()]
    assert 1 == client.err.count("cannot write the output of tasks: no space left on device")
