"""Tasks that ask for cores, memory, GPUs and other things."""

import os
import re
import sys
import time

import pytest

from tests.helpers.farm import rarely
from tests.helpers.waiting import until


@pytest.fixture
def grows(farm):
    """A program that grows to 500 MB, with `child` in a process below it."""
    (farm.folder / "hog.py").write_text(
        "import subprocess, sys, time\n"
        "if 'child' in sys.argv:\n"
        "    sys.exit(subprocess.call([sys.executable, 'hog.py']))\n"
        "held = [bytearray(b'1' * 10**7) for _ in range(50)]\n"
        "time.sleep(1.5 if 'short' in sys.argv else 30)\n"
    )
    return f"{sys.executable} hog.py"


@pytest.mark.parametrize("how", [rarely(""), "child"])
def test_a_task_that_uses_too_much_memory_is_ended_soon(farm, grows, how):
    """With all that it started, and it says how much that was."""
    began = time.monotonic()
    cluster = farm.start_cluster([f"{grows} {how}"], "-m", "100MB", "--joblog", "log")

    code = cluster.wait(20)
    seconds = time.monotonic() - began
    info = farm.run("info", 1)

    assert 1 == code
    assert seconds < 6
    assert "attempt 1 (out of memory)" in info.out.decode()
    assert re.search(r"it used \d+(\.\d+)? MiB; it asked for 95.37 MiB", info.out.decode())
    assert "137" == farm.read("log")[1].split("\t")[6]
    farm.wait_until_gone()


@pytest.mark.campaign
def test_the_next_attempt_may_have_more(farm, grows):
    """100, 200, 400 and 800 MB: the fourth succeeds, also when the server is killed in between."""
    line = f'echo "$TASK_ATTEMPT $TASK_MEMORY" >> attempts; {grows} short'
    options = ["-m", "100MB", "-r", 3, "--retry-memory", "2x"]
    cluster = farm.start_cluster([f"{line} && echo done"], *options)

    code = cluster.wait(40)

    assert (0, b"done\n") == (code, cluster.out)
    assert [f"{n} {10**8 * 2 ** (n - 1)}" for n in range(1, 5)] == farm.read("attempts")


@pytest.mark.campaign
def test_a_run_that_goes_on_remembers_how_much_a_task_needed(farm, grows):
    """It is in the task database."""
    line = f'echo "$TASK_MEMORY" >> attempts; {grows} short; test -e enough'
    options = ["-m", "100MB", "-r", 3, "--retry-memory", "3x", "--retry-delay", "60"]
    first = farm.start_cluster([line], *options)
    farm.wait_for_lines("attempts", 1)
    until(
        lambda: re.search(rb"failures +1", farm.run("info", 1).out),
        20,
        "the first attempt has failed",
    )
    first.kill_tree()

    (farm.folder / "enough").touch()
    second = farm.start("cluster", "--restart", *options[:-2])
    code = second.wait(30)

    assert code in (0, 1)
    assert "300000000" == farm.read("attempts")[1]


@pytest.mark.campaign
def test_a_large_task_starts_among_an_endless_stream_of_small_ones(farm):
    """4 cores; it waits for 10 s, and then for what runs."""
    fifo = farm.folder / "lines"
    os.mkfifo(fifo)
    cluster = farm.start_cluster(fifo, "--client-cores", 4, "-q")
    small = "sleep 0.$(( $TASK_ID % 5 + 1 )) # HYPERSHELL: cores:1\n"
    with open(fifo, "w", buffering=1) as lines:
        lines.write(small * 20 + "echo large > large # HYPERSHELL: cores:4\n")
        began = time.monotonic()
        while not (farm.folder / "large").exists() and time.monotonic() < began + 30:
            lines.write(small * 8)
            time.sleep(0.2)
        waited = time.monotonic() - began
    cluster.signal(2)
    cluster.wait(30)

    assert (farm.folder / "large").exists()
    assert waited < 18


def test_a_task_waits_for_a_client_with_enough_gpus(farm):
    """It is explained meanwhile."""
    server = farm.start_server(["echo $CUDA_VISIBLE_DEVICES > gpus # HYPERSHELL: gpus:3"])
    small = farm.start_client("--gpus", 2)
    server.expect("tasks ask for 1 core, 3 gpus, and no connected client has that")
    rows = farm.run("list", "--waiting", "--explain", "id", "--format", "plain").out.decode()

    large = farm.start_client("--gpus", 4)

    assert "has 2 of 3 gpus" in rows
    assert [0, 0, 0] == [server.wait(), small.wait(), large.wait()]
    assert ["0,1,2"] == farm.read("gpus")


def test_pinned_tasks_run_on_cores_of_their_own(farm):
    """As many at a time as there are."""
    cores = len(os.sched_getaffinity(0))
    line = (
        f"{sys.executable} -c 'import os, time; print(*os.sched_getaffinity(0)); time.sleep(0.5)'"
    )
    cluster = farm.start_cluster([line] * cores, "-c", 1, "--pin")

    code = cluster.wait()

    assert 0 == code
    assert sorted(map(str, os.sched_getaffinity(0))) == sorted(cluster.out.decode().split())


def test_a_submission_may_ask_for_resources(farm):
    """As a run and a line may."""
    farm.free_port()
    server = farm.start("server", "--forever", "-p", farm.port)
    server.expect("is listening")
    client = farm.start_client("--client-cores", 4, "--resource", "lic=1")
    farm.run("submit", "-c", 2, "--resource", "lic=1", "--", "echo $TASK_CORES $TASK_RES_lic > got")
    farm.wait_for_lines("got", 1)
    farm.run("server", "stop")

    assert ["2 1"] == farm.read("got")
    assert 0 == client.wait()
    assert 0 == server.wait()
