"""Lines that come slowly, in bundles, without end, or while tasks read."""

import subprocess
import time

import psutil
import pytest

from tests.helpers.farm import PROMPT, Farm, Process
from tests.helpers.waiting import stays, until

LARGEST_SERVER = 80 * 2**20


def start_fed_server(farm: Farm, *options: object) -> Process:
    """A server that reads from a pipe which the test writes to, and a client of it."""
    server = farm.start("server", "-", "-p", 0, *options, stdin=subprocess.PIPE)
    farm.port = server.port
    farm.start_client().expect("joined the server")
    return server


def feed(server: Process, text: str) -> float:
    """Write lines to a server; the time at which it was done."""
    assert server.popen.stdin is not None
    server.popen.stdin.write(text.encode())
    server.popen.stdin.flush()
    return time.monotonic()


def end_input(server: Process) -> float:
    """Close the input of a server; the time at which it was done."""
    assert server.popen.stdin is not None
    server.popen.stdin.close()
    return time.monotonic()


def test_a_bundle_that_is_not_full_goes_out_after_its_wait(farm):
    """`-b 10 -w 2`: of three lines nothing runs before 2 s, all run then, while input is silent."""
    server = start_fed_server(farm, "-b", 10, "-w", 2)

    fed = feed(server, "date +%s.%N >> ran\n" * 3)
    farm.wait_for_lines("ran", 3)

    assert 1.9 < time.monotonic() - fed < 3.5
    end_input(server)
    assert 0 == server.wait()


def test_a_single_line_runs_at_once(farm):
    """`-b 1`, the default: a line on standard input has started within half a second."""
    server = start_fed_server(farm)

    fed = feed(server, "echo >> ran\n")
    farm.wait_for_lines("ran", 1)

    assert time.monotonic() - fed < 0.5
    end_input(server)
    assert 0 == server.wait()


@pytest.mark.parametrize("option", ["-t", "-w"])
def test_a_full_bundle_and_the_last_one_wait_for_nothing(farm, option):
    """With `-b 3` and a wait of a minute, three lines run at once, and one more when input ends."""
    server = start_fed_server(farm, "-b", 3, option, 60)

    fed = feed(server, "echo >> ran\n" * 4)
    farm.wait_for_lines("ran", 3)
    ran = farm.read("ran")
    ended = end_input(server)
    code = server.wait()

    assert (0, 3) == (code, len(ran))
    assert 4 == len(farm.read("ran"))
    assert ended - fed < 2
    assert time.monotonic() - ended < 3


def test_a_producer_that_pauses_does_not_end_the_run(farm):
    """All tasks so far are done, and yet the run goes on until the input has ended."""
    server = start_fed_server(farm)

    for number in range(3):
        feed(server, f"echo {number} >> ran\n")
        farm.wait_for_lines("ran", number + 1)
        stays(lambda: server.is_running, 0.3, "the server is running")
    end_input(server)

    assert 0 == server.wait()
    assert ["0", "1", "2"] == farm.read("ran")


def test_tasks_that_read_standard_input_eat_no_lines(farm):
    """`cat` finds nothing to read, and the lines behind it are run."""
    server = start_fed_server(farm)

    feed(server, "cat >> eaten\ncat\nread line; echo >> ran\n" * 10)
    end_input(server)

    assert 0 == server.wait()
    assert [] == farm.read("eaten")
    assert 10 == len(farm.read("ran"))


def test_half_a_line_waits_for_its_other_half(farm):
    """A line is run when its newline has come, or the input has ended."""
    server = start_fed_server(farm)

    feed(server, "echo one >> ran\necho t")
    first = farm.wait_for_lines("ran", 1)
    feed(server, "wo >> ran\necho three >> ran")
    second = farm.wait_for_lines("ran", 2)
    end_input(server)

    assert 0 == server.wait()
    assert (["one"], ["one", "two"]) == (first, second)
    assert ["one", "two", "three"] == farm.read("ran")


def test_endless_input_is_held_back_while_nobody_runs_it(farm):
    """`yes` without a client: the server stops reading, in bounded memory."""
    endless = farm.spawn(["yes", "true"], stdout=subprocess.PIPE)
    server = farm.start("server", "-", "-p", 0, stdin=endless.popen.stdout)
    assert endless.popen.stdout is not None
    endless.popen.stdout.close()
    server.expect("listening on")

    until(lambda: is_blocked(endless), PROMPT, "`yes` waits to write")
    stays(lambda: rss(server) < LARGEST_SERVER, 0.5, "the server is small")
    server.press_ctrl_c()

    assert 130 == server.wait()
    assert "Traceback" not in server.err


def rss(process: Process) -> int:
    """Bytes of memory that a process has."""
    return psutil.Process(process.pid).memory_info().rss


def is_blocked(process: Process) -> bool:
    """Whether a process has used no CPU for a moment."""
    before = psutil.Process(process.pid).cpu_times()
    time.sleep(0.1)
    return psutil.Process(process.pid).cpu_times() == before


@pytest.mark.campaign
def test_endless_input_runs_in_memory_that_does_not_grow(farm):
    """`yes true` with a client: thousands of tasks later the server is as large as before."""
    endless = farm.spawn(["yes", "true"], stdout=subprocess.PIPE)
    server = farm.start("server", "-", "-p", 0, stdin=endless.popen.stdout)
    assert endless.popen.stdout is not None
    endless.popen.stdout.close()
    client = farm.start_client("-N", 2, port=server.port)
    client.expect("joined the server")

    sizes = []
    for _ in range(8):
        stays(lambda: server.is_running, 1.0, "the server is running")
        sizes.append((rss(server), rss_of_client(client)))
    server.press_ctrl_c()
    codes = [server.wait(), client.wait()]

    assert [130, 0] == codes
    assert max(server_size for server_size, _ in sizes) < LARGEST_SERVER
    assert sizes[-1][0] - sizes[2][0] < 5 * 2**20
    assert sizes[-1][1] - sizes[2][1] < 5 * 2**20


def rss_of_client(client: Process) -> int:
    """Bytes of memory of the process that runs tasks."""
    return client.client_proper().memory_info().rss


@pytest.mark.campaign
def test_a_million_lines_from_a_file_fit_in_80_mb(farm):
    """The server reads no faster than tasks are run, whatever the size of the file."""
    path = farm.folder / "million"
    path.write_bytes(b"true # and some words to make it longer\n" * 1_000_000)
    server = farm.start_server(path)
    client = farm.start_client("-N", 2)
    client.expect("joined the server")

    stays(lambda: rss(server) < LARGEST_SERVER, 8, "the server is small")
    server.press_ctrl_c()

    assert [130, 0] == [server.wait(), client.wait()]
