"""What is wrong is told at once: one line that says what, one that says what to do, and a code."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from itertools import islice

import pytest

from tests.helpers.components import lacks
from tests.helpers.farm import PROGRAM, Farm, Process
from tests.helpers.others import let_others_in

AT_ONCE = 4.0
NOBODY = 65534


@pytest.fixture
def tasks(farm: Farm) -> str:
    """The name of a file of one task."""
    (farm.folder / "tasks").write_text("true\n")
    return "tasks"


def assert_complaint(process: Process, code: int, *words: str) -> None:
    """It ended at once with this code, an error line with these words, a hint, and no more."""
    assert code == process.wait(AT_ONCE), process.err
    error, hint = process.err.splitlines()
    assert error.startswith("hyper-shell: error: ")
    assert hint.startswith("hint: ")
    assert len(hint) > len("hint: ")
    for word in words:
        assert word in error
    assert b"" == process.out


SERVER_COMPLAINTS = {
    "missing file": (["server", "nowhere"], 3, ["no file nowhere"]),
    "directory": (["server", "."], 3, ["cannot read .", "directory"]),
    "bundle of none": (["server", "tasks", "-b", "0"], 2, ["--bundlesize", "at least 1", "0"]),
    "bundle of words": (["server", "tasks", "-b", "many"], 2, ["--bundlesize", "'many'"]),
    "negative wait": (["server", "tasks", "-w", "-1"], 2, ["--bundlewait", "-1"]),
    "negative retries": (["server", "tasks", "-r", "-1"], 2, ["--max-retries", "-1"]),
    "port that is a word": (["server", "tasks", "--port", "abc"], 2, ["--port", "'abc'"]),
    "port too high": (["server", "tasks", "--port", "70000"], 2, ["--port", "65535", "70000"]),
    "ports that differ": (
        ["server", "tasks", "--port", "1234", "--worker-port", "1235"],
        2,
        ["1234", "1235", "contradict"],
    ),
    "bind to an unknown host": (["server", "tasks", "-H", "no.such.invalid"], 4, ["no.such."]),
    "bind to a foreign address": (["server", "tasks", "-H", "192.0.2.1"], 3, ["192.0.2.1"]),
    "print and file": (["server", "tasks", "--print", "-f", "x"], 2, ["--print", "-f"]),
    "restart in memory": (["server", "--restart", "--no-db"], 2, ["--restart", "--no-db"]),
    "failures nowhere": (["server", "tasks", "-f", "no/where"], 3, ["cannot write no/where"]),
    "failures to a directory": (["server", "tasks", "-f", "."], 3, ["cannot write ."]),
    "failures to the input": (
        ["server", "tasks", "-f", "tasks"],
        2,
        ["tasks is also the input file"],
    ),
    "a file of a strange name": (["server", "a\udcff\n\x1b[2J"], 3, [r"no file a\udcff\n\x1b[2J"]),
    "job log to the input": (
        ["server", "tasks", "--joblog", "./tasks"],
        2,
        ["tasks is also the input file"],
    ),
    "job log to the failures": (
        ["server", "tasks", "--joblog", "new", "-f", "./new"],
        2,
        ["-f and --joblog both name new"],
    ),
    "a form without its arguments": (["info"], 2, ["an argument is missing: `info` takes one ID"]),
    "log to the input": (["cluster", "tasks", "--log-file", "tasks"], 2, ["also the input file"]),
    "output to the log": (
        ["client", "-o", "new", "--log-file", "./new"],
        2,
        ["-o and --log-file both name ./new"],
    ),
    "output of a cluster nowhere": (["cluster", "tasks", "-o", "no/where"], 3, ["no/where"]),
    "failures to a file of others": (
        ["cluster", "-f", "tasks"],
        3,
        ["tasks is not empty, and was not written by -f before"],
    ),
    "log nowhere": (["server", "tasks", "--log-file", "no/where"], 3, ["no/where"]),
    "unknown option": (["server", "tasks", "--no-such"], 2, ["--no-such"]),
    "option without its value": (["server", "tasks", "-b"], 2, ["-b"]),
    "a second file that is missing": (["server", "tasks", "more"], 3, ["there is no file more"]),
    "unknown verb": (["sever", "tasks"], 2, ["sever"]),
}

CLIENT_COMPLAINTS = {
    "negative slots": (["client", "-N", "-1"], 2, ["--num-threads", "-1"]),
    "slots of words": (["client", "-N", "two"], 2, ["--num-threads", "'two'"]),
    "port of a client": (["client", "-p", "0"], 2, ["--port", "0"]),
    "negative timeout": (["client", "-T", "-5"], 2, ["--timeout", "-5"]),
    "unknown host": (["client", "-H", "no.such.invalid"], 4, ["unknown host no.such.invalid"]),
    "no shell": (["client", "--shell", "/no/shell"], 3, ["/no/shell"]),
    "output nowhere": (["client", "-o", "no/where"], 3, ["no/where"]),
    "cluster of none": (["cluster", "tasks", "--clients", "0"], 2, ["--clients", "0"]),
    "cluster without file": (["cluster", "nowhere"], 3, ["no file nowhere"]),
    "cluster with negative slots": (["cluster", "tasks", "-N", "-1"], 2, ["-1"]),
}


@pytest.mark.parametrize(
    "complaints", [SERVER_COMPLAINTS, CLIENT_COMPLAINTS], ids=["server", "client"]
)
def test_a_command_that_cannot_work_is_refused_at_once(farm, tasks, complaints):
    """One clear line, a hint, and the exit code of its kind; some of them at the same time.

    Not all at once: each has to load the program, and is timed from its own start.
    """
    remaining = iter(complaints.values())

    while some := list(islice(remaining, 3)):
        started = [farm.start(*words, env=farm.elsewhere()) for words, _, _ in some]
        for process, (_, code, mentioned) in zip(started, some, strict=True):
            assert_complaint(process, code, *mentioned)


def test_an_empty_key_is_no_key(farm):
    """A client says so, and how to give one."""
    client = farm.start("client", env={"HYPERSHELL_AUTH": ""})

    assert_complaint(client, 2, "key is empty")


def test_a_short_key_is_refused_where_others_can_reach_the_server(farm, tasks):
    """On loopback it is allowed."""
    short = {"HYPERSHELL_AUTH": "secret"}

    public = farm.start("server", tasks, "-p", 0, "-H", "0.0.0.0", env=short)

    assert_complaint(public, 5, "6 characters", "0.0.0.0")
    assert farm.start("server", tasks, "-p", 0, env=short).port


def test_a_port_in_use_is_named(farm, tasks):
    """The second server on a port ends; the first goes on."""
    first = farm.start_server(["true"])

    second = farm.start("server", tasks, "-p", farm.port, env=farm.elsewhere())

    assert_complaint(second, 3, f"port {farm.port}", "in use")
    assert first.is_running


def test_a_wrong_key_is_refused_and_the_server_goes_on(farm):
    """The client ends at once, however long it was told to wait; a good one still joins."""
    server = farm.start_server(["true"])

    stranger = farm.start_client(env={"HYPERSHELL_AUTH": "another key, of good length"})

    assert_complaint(stranger, 5, "refused this key", str(farm.port))
    assert [0, 0] == [farm.start_client().wait(), server.wait()]


@pytest.fixture(params=[b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100], ids=repr)
def stranger_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port on which something listens that is not ours: a web server, noise."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def answer() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return
                held[-1].sendall(request.param)

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for sock in held:
            sock.close()


def test_a_listener_that_is_not_ours_is_told_apart(farm, stranger_port):
    """Whatever it says: exit 4 at once."""
    client = farm.start_client(port=stranger_port)

    assert 4 == client.wait(15)
    error, hint = client.err.splitlines()[-2:]
    assert "a hyper-shell server" in error
    assert hint.startswith("hint: ")


@pytest.mark.campaign
def test_a_listener_that_says_nothing_is_told_when_the_wait_is_over(farm):
    """It may be a server that is frozen: the client tries as long as it was told to."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = farm.start_client("--wait", 1, port=silent.getsockname()[1])

        assert 4 == client.wait(8)
    assert "does not answer" in client.err.splitlines()[-2]


def test_no_server_at_all_is_told_when_the_wait_is_over(farm):
    """`--wait 1`: exit 4 after a second, with what was tried."""
    begin = time.monotonic()
    client = farm.start_client("--wait", 1, port=farm.free_port())

    code = client.wait()

    assert 4 == code
    assert 0.9 < time.monotonic() - begin < AT_ONCE
    error, hint = client.err.splitlines()[-2:]
    assert f"no server at localhost port {farm.port}" in error
    assert hint.startswith("hint: ")


def test_a_file_without_tasks_is_a_run_that_succeeds(farm):
    """Empty, or comments only: exit 0 without any client."""
    empty, comments = farm.write_lines([]), farm.write_lines(["# nothing", ""])

    servers = [farm.run("server", path, "-p", 0) for path in (empty, comments)]

    assert [0, 0] == [server.wait() for server in servers]
    assert all("0 tasks" in server.err for server in servers)


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        (["server", "secret", "-p", "0"], ["cannot read", "secret", "permission denied"]),
        (["server", "tasks", "-p", "0", "-f", "locked/x"], ["cannot write", "permission denied"]),
    ],
    ids=["unreadable input", "unwritable failures"],
)
def test_an_ordinary_user_is_told_what_may_not_be_opened(farm, tasks, need, words, mentioned):
    """Run through setpriv if we are root, who may open anything."""
    let_others_in(farm.folder)
    (farm.folder / "secret").touch(mode=0o000)
    (farm.folder / "locked").mkdir(mode=0o555)

    process = farm.spawn([*as_ordinary_user(need), *PROGRAM, *words])

    assert_complaint(process, 3, *mentioned)


def as_ordinary_user(need) -> list[str]:
    """The words before a command that make it run without privileges."""
    if os.geteuid() != 0:
        return []
    if not os.access(PROGRAM[0], os.X_OK):
        lacks("a Python that other users may run")
    return [need("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
