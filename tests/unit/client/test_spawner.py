"""What a task is given, and what its end is taken for."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hypershell.client.tasks.shell import DEFAULT_SHELL, shell_of
from hypershell.client.tasks.spawn import MAX_ARGUMENT, Spawner, reap
from hypershell.core.ending import Ending
from hypershell.core.errors import ShellUnusable
from hypershell.core.task import Claim
from tests.unit.client.conftest import CLIENT_ID


@pytest.fixture
def run(spawn, tmp_path):
    """Run a command to its end: its outcome and what it printed."""

    def start(command):
        outcome = reap(spawn(command))
        return outcome, (tmp_path / "out").read_bytes()

    return start


def by_the_shell(command: bytes) -> tuple[int, bytes]:
    """What the shell itself makes of a command."""
    done = subprocess.run(
        ["sh", "-c", "--", command],
        executable=DEFAULT_SHELL.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "command",
    [
        b"true",
        b"exit 3",
        b"/bin/true",
        b"/bin/false",
        b"no-such-command",
        b"/no/such/command",
        b"/etc/passwd",
        b"/etc",
        b"/etc/passwd/x",
        b"'",
        b"kill -9 $$; :",
        b"sh -c 'kill -9 $$'; exit $?",
        b"echo a 'b c' | cat",
        b"-x",
        b"+x",
        b"  /bin/echo   a  b ",
        b"echo '\xff\xfe' $#",
        b"VAR=1 env | grep ^VAR=",
    ],
)
def test_a_task_ends_and_prints_as_the_shell_has_it(run, command):
    """Also where it is started without one: 126, 127, messages and all."""
    status, printed = by_the_shell(command)

    outcome, output = run(command)

    assert status == (-outcome.code if outcome.ending is Ending.SIGNALED else outcome.code)
    assert printed == output


def test_a_signal_is_kept_apart_from_a_status(run):
    """9 by a signal is not 9 by exit."""
    by_signal, _ = run(b"kill -9 $$")
    by_exit, _ = run(b"exit 9")

    assert (Ending.SIGNALED, 9) == (by_signal.ending, by_signal.code)
    assert (Ending.EXITED, 9) == (by_exit.ending, by_exit.code)


def test_an_executable_that_is_a_script_without_a_first_line_is_run(run, tmp_path):
    """As the shell runs it."""
    script = tmp_path / "script"
    script.write_bytes(b"echo from a script\nexit 4\n")
    script.chmod(0o755)

    outcome, output = run(os.fsencode(script))

    assert (4, b"from a script\n") == (outcome.code, output)


@pytest.mark.parametrize("size", [MAX_ARGUMENT, MAX_ARGUMENT + 1, 1_000_000])
def test_a_long_line_is_run_to_its_last_byte(run, size):
    """Beyond what one argument can hold as well."""
    filler = size - len("x=''; echo ${#x}")
    command = b"x='" + b"y" * filler + b"'; echo ${#x}"

    outcome, output = run(command)

    assert size == len(command)
    assert (0, b"%d\n" % filler) == (outcome.code, output)


def test_a_long_line_that_needs_no_shell_is_run(run):
    """Its words are short, all of it is not."""
    outcome, output = run(b"/bin/echo" + b" word" * 100_000)

    assert 0 == outcome.code
    assert b"word " * 99_999 + b"word\n" == output


def test_a_long_line_has_all_descriptors_to_itself(run):
    """What it is read from is closed before it runs."""
    _, output = run(b": " + b"x" * MAX_ARGUMENT + b"\nls /proc/$$/fd")

    assert b"3" not in output.split()


def test_a_word_that_is_too_long_fails_as_the_shell_has_it(run):
    """In a plain command as well: 126, and the shell's message."""
    outcome, output = run(b"/bin/echo " + b"y" * 200_000)

    assert 126 == outcome.code
    assert b"rgument list too long" in output


def test_a_task_knows_what_it_is(run):
    """Its id, attempt, slot and line, and who runs it."""
    _, output = run(b"env | grep ^TASK_ | sort")

    assert [
        b"TASK_ARGS=env | grep ^TASK_ | sort",
        b"TASK_ATTEMPT=2",
        b"TASK_CLIENT_HOST=node1",
        b"TASK_CLIENT_ID=" + CLIENT_ID.encode(),
        b"TASK_ID=7",
        b"TASK_NUMBER=12",
        b"TASK_SLOT=3",
    ] == output.splitlines()


def test_the_keys_of_the_farm_are_not_for_tasks(monkeypatch, tmp_path):
    """And all else that the client was given is."""
    monkeypatch.setenv("HYPERSHELL_AUTH", "secret")
    monkeypatch.setenv("OTHER", "value")
    path = tmp_path / "out"

    with path.open("wb") as out:
        spawner = Spawner(DEFAULT_SHELL, CLIENT_ID, "node1")
        reap(spawner.spawn(Claim(1, 1, 1, b"env"), 1, out.fileno(), out.fileno()))

    assert b"secret" not in path.read_bytes()
    assert b"OTHER=value\n" in path.read_bytes()


def test_a_variable_of_no_encoding_reaches_the_task(monkeypatch, tmp_path):
    """An environment is bytes."""
    monkeypatch.setitem(os.environb, b"ODD", b"\xff\xfe")
    path = tmp_path / "out"

    with path.open("wb") as out:
        spawner = Spawner(DEFAULT_SHELL, CLIENT_ID, "node1")
        reap(spawner.spawn(Claim(1, 1, 1, b"/usr/bin/env"), 1, out.fileno(), out.fileno()))

    assert b"ODD=\xff\xfe\n" in path.read_bytes()


def test_a_function_in_the_environment_makes_the_shell_decide(monkeypatch, tmp_path):
    """bash as /bin/sh would run it instead of a program of that name."""
    monkeypatch.setenv("BASH_FUNC_ls%%", "() { echo mine; }")

    spawner = Spawner(DEFAULT_SHELL, CLIENT_ID, "node1")

    assert not spawner._direct


def test_standard_input_is_empty(run):
    """A task does not eat the list of tasks, nor wait for a terminal."""
    _, output = run(b"cat; readlink /proc/self/fd/0")

    assert b"/dev/null\n" == output


@pytest.mark.parametrize("command", [b"/bin/cat /proc/self/status", b"cat /proc/self/status; :"])
def test_no_signal_is_ignored_or_blocked_by_our_doing(run, command):
    """Python ignores SIGPIPE and SIGXFSZ, and a client SIGTTOU: tasks do not inherit it."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        _, output = run(command)
    finally:
        signal.signal(signal.SIGTTOU, before)

    fields = dict(line.split(b":\t", 1) for line in output.splitlines() if b":\t" in line)
    ours = signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTTOU
    assert 0 == int(fields[b"SigBlk"], 16)
    assert not [number for number in ours if int(fields[b"SigIgn"], 16) >> (number - 1) & 1]


def test_a_signal_that_the_client_ignored_when_it_started_stays_ignored(run):
    """So that `nohup` holds for all that is below it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        outcome, output = run(b"kill -HUP $$; echo alive")
    finally:
        signal.signal(signal.SIGHUP, before)

    assert (0, b"alive\n") == (outcome.code, output)


@pytest.fixture(params=["flag", "program", "neither"])
def session_by(request, monkeypatch, tmp_path) -> str:
    """How tasks get a session: by posix_spawn, without that by setsid(1), without both not."""
    if request.param != "flag":
        for name in ("posix_spawn", "posix_spawnp"):
            monkeypatch.setattr(os, name, without_setsid(getattr(os, name)))
    if request.param == "neither":
        monkeypatch.setenv("PATH", str(tmp_path))
    return request.param


def without_setsid(start: Callable[..., int]) -> Callable[..., int]:
    """The same as it is in a Python that was built for an old C library."""

    def refuse(*arguments: Any, setsid: bool = False, **settings: Any) -> int:
        if setsid:
            raise NotImplementedError("The 'setsid' option is not supported by this system")
        return start(*arguments, **settings)

    return refuse


@pytest.mark.parametrize("command", [b"exit 3", b"/bin/true"])
def test_a_task_is_a_session_of_its_own(session_by, spawn, command):
    """All of it can be signaled, and nothing else is; with a shell and without one."""
    child = spawn(command)

    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    own = os.getsid(0) if session_by == "neither" else child.pid
    assert (child.pid, own) == (os.getpgid(child.pid), os.getsid(child.pid))


def test_a_command_that_is_not_there_is_told_by_the_shell(session_by, spawn, tmp_path):
    """However its session was made."""
    outcome = reap(spawn(b"no-such-command"))

    assert 127 == outcome.code
    assert (tmp_path / "out").read_bytes().endswith(b"sh: 1: no-such-command: not found\n")


def is_inheritable(descriptor: int) -> bool:
    """Whether this process was given a descriptor to hand on to all that it starts."""
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False


def test_a_task_inherits_no_other_descriptor(run):
    """Not the sockets, nor the pipes of other tasks."""
    handed_on = {fd for fd in map(int, os.listdir("/proc/self/fd")) if is_inheritable(fd)}

    _, output = run(b"/bin/ls /proc/self/fd")

    assert {0, 1, 2, 3} | handed_on == set(map(int, output.split()))  # ls reads through 3


def test_an_outcome_says_how_long_and_how_much(run):
    """Wall time and processor time, each its own."""
    outcome, _ = run(b"i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")

    assert 0 < outcome.user_seconds <= outcome.seconds * 1.5
    assert outcome.started_at > 1e9


def test_a_peak_below_that_of_the_client_is_not_reported(run):
    """It would be the client's own size, which a child begins with."""
    outcome, _ = run(b"true")

    assert 0 == outcome.peak_kib


def test_a_large_task_has_its_peak_reported(run):
    """Where it is the task's own: beyond what this process ever took."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + 100_000
    script = f"{sys.executable} -c \"x = b'x' * {2 * kib * 1024}\""  # the system may take some back

    outcome, _ = run(script.encode())

    assert outcome.peak_kib >= kib


def test_a_working_directory_that_has_gone_stops_no_task(monkeypatch, tmp_path, run):
    """The shell starts there all the same."""
    folder = tmp_path / "gone"
    folder.mkdir()
    before = os.getcwd()
    os.chdir(folder)
    folder.rmdir()
    try:
        spawner = Spawner(DEFAULT_SHELL, CLIENT_ID, "node1")
        child = spawner.spawn(Claim(1, 1, 1, b"true"), 1, 1, 2)
    finally:
        os.chdir(before)

    assert reap(child).ok


def test_pwd_is_this_directory(monkeypatch, tmp_path):
    """Whatever the client was given: a shell would have set it."""
    monkeypatch.setenv("PWD", "/nowhere")
    path = tmp_path / "out"
    monkeypatch.chdir(tmp_path)

    with path.open("wb") as out:
        spawner = Spawner(DEFAULT_SHELL, CLIENT_ID, "node1")
        reap(spawner.spawn(Claim(1, 1, 1, b"/usr/bin/env"), 1, out.fileno(), out.fileno()))

    assert f"PWD={tmp_path}\n".encode() in path.read_bytes()


def test_another_shell_runs_every_line(tmp_path):
    """A plain one as well: it is that shell's own affair."""
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\necho "shell: $*"\n')
    shell.chmod(0o755)
    path = tmp_path / "out"

    with path.open("wb") as out:
        spawner = Spawner(shell_of(str(shell)), CLIENT_ID, "node1")
        reap(spawner.spawn(Claim(1, 1, 1, b"/bin/true x"), 1, out.fileno(), out.fileno()))

    assert b"shell: -c /bin/true x\n" == path.read_bytes()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no-such-shell", "not in PATH"),
        ("./sh", "full path"),
        ("'sh", "words"),
        ("/no/such/shell", "does not exist"),
        ("/etc/passwd", "cannot"),
        ("/", "cannot"),
    ],
)
def test_a_shell_that_cannot_be_one_is_refused_beforehand(path, reason):
    """Before any task fails by it."""
    with pytest.raises(ShellUnusable, match=reason):
        shell_of(path)
