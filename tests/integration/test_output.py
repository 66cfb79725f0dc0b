"""What tasks print: whole lines, to where it was asked for."""

import array
import collections
import fcntl
import os
import subprocess
import termios
import time

import pytest

from tests.helpers.farm import PROMPT, Pipe
from tests.helpers.waiting import until


def test_lines_of_different_tasks_never_mix(farm):
    """Each line is printed in three pieces, by four tasks at a time."""
    piece = "for i in 1 2 3; do printf {0}; printf {0}; printf '{0}\\n'; done"
    lines = [piece.format(chr(ord("a") + n % 26) * 900) for n in range(60)]

    cluster = farm.start_cluster(lines, "-N", 4)

    assert 0 == cluster.wait()
    printed = collections.Counter(cluster.out.decode().splitlines())
    assert 180 == printed.total()
    assert {chr(ord("a") + n) * 2700 for n in range(26)} == set(printed)


def test_slow_lines_of_different_tasks_never_mix(farm):
    """A line that takes a while is held back until it is whole."""
    lines = [f"printf {n}; sleep 0.1; printf {n}; sleep 0.1; echo {n}" for n in range(8)]

    cluster = farm.start_cluster(lines, "-N", 4)

    assert 0 == cluster.wait()
    assert sorted(str(n) * 3 for n in range(8)) == sorted(cluster.out.decode().split())


def test_output_and_errors_go_to_files_of_their_own(farm):
    """`-o` and `-e` append, and leave the client's own output alone."""
    (farm.folder / "out").write_text("before\n")
    server = farm.start_server(["echo to out; echo to err >&2"] * 3)

    client = farm.start_client("-o", "out", "-e", "err")

    assert [0, 0] == [client.wait(), server.wait()]
    assert ["before", *["to out"] * 3] == farm.read("out")
    assert ["to err"] * 3 == farm.read("err")
    assert b"" == client.out
    assert "to err" not in client.err


def test_a_line_is_printed_as_it_comes_and_not_when_its_task_ends(farm):
    """Progress can be watched."""
    farm.start_server(["echo first; sleep 1000"])

    client = farm.start_client()

    until(lambda: client.out == b"first\n", 10, "the line of a task that still runs")


def test_a_very_long_line_of_output_stays_whole(farm):
    """Longer than what is held in memory, beside a task that prints small lines all the while."""
    long = "head -c 3000000 /dev/zero | tr '\\0' x; echo"
    small = "for i in 1 2 3 4 5 6 7 8 9; do echo small; sleep 0.02; done"

    cluster = farm.start_cluster([long, small], "-N", 2)

    assert 0 == cluster.wait()
    lines = cluster.out.split(b"\n")
    assert {b"x" * 3_000_000, b"small", b""} == set(lines)
    assert 11 == len(lines)


def test_a_client_whose_output_nobody_reads_any_more_runs_on(farm):
    """`client | head -n 1`: what tasks print is dropped, and no task fails for it."""
    server = farm.start_server([f"seq 1 5000 && echo >> ran-{n}" for n in range(20)])
    reader = farm.spawn(["head", "-n", "1"], stdin=subprocess.PIPE)

    client = farm.start_client(stdout=reader.popen.stdin)
    assert reader.popen.stdin is not None
    reader.popen.stdin.close()

    assert [0, 0, 0] == [reader.wait(), client.wait(), server.wait()]
    assert b"1\n" == reader.out
    assert 20 == len(list(farm.folder.glob("ran-*")))


def test_a_client_may_be_started_without_any_output(farm):
    """`>&- 2>&- <&-`: all three closed; its tasks find somewhere to print to."""
    server = farm.start_server(["echo out; echo err >&2; cat; echo >> ran"] * 3)

    client = farm.spawn_shell(f"exec $HYPERSHELL client -p {farm.port} >&- 2>&- <&-")

    assert [0, 0] == [client.wait(), server.wait()]
    assert 3 == len(farm.read("ran"))


@pytest.mark.parametrize("options", [(), ("-o", "out")], ids=["one pipe", "a file each opens"])
def test_lines_of_several_clients_never_mix(farm, options):
    """Longer than what a pipe takes in one piece, beside short ones."""
    shapes = [(chr(ord("a") + n), size) for n in range(12) for size in (9, 5_000, 200_000)]
    lines = [f"head -c {size} /dev/zero | tr '\\0' {letter}; echo" for letter, size in shapes]

    cluster = farm.start_cluster(lines, "--clients", 4, "-N", 2, *options, stdout=subprocess.PIPE)
    printed = cluster.popen.stdout.read().decode() or "\n".join(farm.read("out"))

    assert 0 == cluster.wait()
    assert sorted(letter * size for letter, size in shapes) == sorted(printed.splitlines())


def test_a_reader_that_stops_costs_no_client_its_lease(farm):
    """Several clients wait for it, one in a write and the others for the first."""
    pipe = Pipe()
    lines = ["head -c 300000 /dev/zero | tr '\\0' x; echo"] * 6
    options = ("--clients", 3, "--lease", 2, "--grace", 0.5, "-r", 0)
    cluster = farm.start_cluster(lines, *options, stdout=pipe.write_end)
    os.close(pipe.write_end)
    until(lambda: waiting_in(pipe.read_end) >= 60_000, PROMPT, "a full pipe")

    began = time.monotonic()
    until(lambda: time.monotonic() - began > 3, 10, "more than the lease")
    with open(pipe.read_end, "rb") as reader:
        printed = reader.read()

    assert 0 == cluster.wait()
    assert [b"x" * 300_000] * 6 == printed.splitlines()
    assert "lost contact" not in cluster.err


def waiting_in(descriptor: int) -> int:
    """How many bytes wait in a pipe."""
    size = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, size)
    return size[0]
