"""No room for failed lines or for what tasks print: it is said, and the run finishes."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.components import lacks
from tests.helpers.farm import Pipe
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
    """`-o /dev/full`: the tasks end as they would; both say how much was lost, and end with 1."""
    server = farm.start_server(["echo something"] * 5)

    client = farm.start_client("-o", "/dev/full")

    assert [1, 1] == [server.wait(), client.wait()]
    assert 1 == client.err.count("cannot write the output of tasks: no space left on device")
    assert "output of tasks was lost: 5 lines (50 bytes): no space left on device" in client.err
    assert re.search(r"lost: client \w+ on \S+ could not write 5 lines \(50 bytes\)", server.err)


def test_a_cluster_whose_output_is_lost_does_not_succeed(farm):
    """Every task succeeded, and what they printed is nowhere."""
    with open("/dev/full", "wb") as full:
        cluster = farm.start_cluster(["echo something"] * 5, stdout=full)

    assert 1 == cluster.wait()
    assert "could not write 5 lines (50 bytes): no space left on device" in cluster.err


@pytest.mark.parametrize("clients", [1, 3])
def test_output_waits_for_room_and_is_whole(farm, small_disk, clients):
    """A disk that was full for a while costs nothing: no line is missing, doubled or torn."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 60_000)
    lines = [f"printf '%0990d\\n' {n}" for n in range(30)]
    last = "until test -e go; do sleep 0.05; done"
    cluster = farm.start_cluster(
        [last, *lines], "-o", small_disk / "o", "--clients", clients, "-N", 2
    )

    cluster.expect("cannot write the output of tasks: no space left on device; retrying")
    ballast.unlink()
    until(lambda: len((small_disk / "o").read_bytes().splitlines()) == 30, 20, "all lines")
    (farm.folder / "go").touch()

    assert 0 == cluster.wait()
    printed = sorted((small_disk / "o").read_text().splitlines())
    assert [f"{n:0990d}" for n in range(30)] == printed


def test_output_whose_connection_is_lost_makes_the_run_fail(farm):
    """As under an ssh that died: nobody reads what the client prints or says."""
    server = farm.start_server(["until test -e gone; do sleep 0.05; done; echo lost"] * 3)
    out, err = Pipe(), Pipe()
    client = farm.start_client(stdout=out.write_end, stderr=err.write_end)
    server.expect("joined")

    out.close()
    err.close()
    (farm.folder / "gone").touch()

    assert [1, 1] == [server.wait(), client.wait()]
    assert "could not write 3 lines (15 bytes): broken pipe" in server.err


def test_output_that_a_killed_client_could_not_write_is_counted(farm):
    """Its supervisor does not know; what it last said counts."""
    server = farm.start_server(["echo lost", "until test -e go; do sleep 0.05; done"])
    lost = farm.start_client("-o", "/dev/full", "-N", 2)
    server.expect("cannot write the output of its tasks")

    lost.client_proper().kill()
    assert 0 != lost.wait()
    (farm.folder / "go").touch()
    client = farm.start_client()

    assert [1, 0] == [server.wait(), client.wait()]
    assert "could not write 1 line (5 bytes): no space left on device" in server.err
