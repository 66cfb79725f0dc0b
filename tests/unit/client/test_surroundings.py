"""A task finds the environment that its client was started with, with a shell and without one."""

import os
import resource
import subprocess
import sys

import pytest

from hypershell.client.tasks.shell import DEFAULT_SHELL
from hypershell.client.tasks.spawn import Spawner, reap
from hypershell.client.tasks.surroundings import QUESTION, shell_keeps
from hypershell.core.task import Claim
from hypershell.core.task_spec import TaskSpec
from hypershell.runtime.limits import DescriptorLimit, descriptor_limit

SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "nothing odd": {},
    **{
        name: {name: value}
        for name, value in {
            "IFS": ":",
            "PPID": "7",
            "OPTIND": "3",
            "OPTARG": "x",
            "PWD": "/nowhere",
            "OLDPWD": "/nowhere else",
            "_": "/usr/bin/env",
            "SHLVL": "7",
            "LINENO": "12",
            "RANDOM": "5",
            "SECONDS": "1",
            "UID": "12345",
            "EUID": "12345",
            "HISTSIZE": "1",
            "MAIL": "/var/mail/x",
            "PS1": "$ ",
            "PS4": "+ ",
            "ENV": "/nowhere",
            "TERM": "dumb",
            "SHELLOPTS": "errexit",
            "BASHOPTS": "extglob",
            "BASH_ENV": "/nowhere",
            "POSIXLY_CORRECT": "1",
            "a-b": "1",
            "a.b": "1",
            "1a": "1",
            "ä": "1",
            "a b": "1",
            "BASH_FUNC_f%%": "() { :; }",
            "EMPTY": "",
            "LINES_": "a\nb\n=c",
            "BYTES": "\udcff\udcfe",
            "LC_ALL": "C",
            "TASK_EXTRA": "x",
            "CDPATH": "/tmp",
        }.items()
    },
    **{f"no {name}": {name: None} for name in ("PWD", "OLDPWD", "HOME", "SHLVL", "_", "LANG")},
}


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """What a command prints that a spawner starts."""
    monkeypatch.chdir(tmp_path)  # and back: a spawner takes this process with it

    def run(spawner: Spawner, command: bytes) -> bytes:
        out = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        claim = Claim(1, 1, 1, command, TaskSpec(cwd=str(tmp_path)).pack())
        reap(spawner.spawn(claim, 1, out, out))
        os.close(out)
        return (tmp_path / "out").read_bytes()

    return run


def variables(printed: bytes) -> set[bytes]:
    """The variables that a command found, but for its own text."""
    return {each for each in printed.split(b"\0") if not each.startswith(b"TASK_ARGS=")}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_command_cannot_tell_whether_a_shell_started_it(monkeypatch, printed, name):
    """By its environment, whatever its client was given."""
    for variable, value in SURROUNDINGS[name].items():
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    spawner = Spawner(DEFAULT_SHELL, "01234567", "node1")

    alone = printed(spawner, b"cat /proc/self/environ")
    by_shell = printed(spawner, b"cat /proc/self/environ; :")

    assert variables(by_shell) == variables(alone)


def test_most_commands_are_started_without_a_shell(monkeypatch, printed):
    """Where the shell leaves the environment alone."""
    if not _is_dash():
        pytest.skip("/bin/sh is not dash")
    for name in [n for n in os.environ if not n.isidentifier()]:
        monkeypatch.delenv(name)
    spawner = Spawner(DEFAULT_SHELL, "01234567", "node1")

    printed(spawner, b"cat /dev/null")

    assert spawner._direct is True


def test_a_shell_that_sets_variables_is_found_out(need):
    """As bash does where it is /bin/sh."""
    bash = need("bash")
    environ = {b"PATH": os.environb[b"PATH"], b"PWD": os.getcwdb()}

    def start(out: int) -> int:
        files = [(os.POSIX_SPAWN_DUP2, out, 1)]
        words = [b"sh", b"-c", QUESTION]
        return os.posix_spawn(bash, words, environ, file_actions=files, setpgroup=0)

    assert not shell_keeps(environ, start)


def test_a_shell_that_says_nothing_is_not_waited_for(monkeypatch):
    """For longer than a little."""
    monkeypatch.setattr("hypershell.client.tasks.surroundings._PATIENCE_SECONDS", 0.1)

    def start(out: int) -> int:
        files = [(os.POSIX_SPAWN_DUP2, out, 1)]
        return os.posix_spawn("/bin/sleep", ["sleep", "60"], {}, file_actions=files, setpgroup=0)

    assert not shell_keeps({}, start)


def _is_dash() -> bool:
    return os.path.basename(os.path.realpath("/bin/sh")) == "dash"


# The limit on open files.


def test_a_task_gets_the_limit_that_its_client_was_given(printed):
    """And the client has its own again, whatever became of the task."""
    own = descriptor_limit()
    given = DescriptorLimit(min(own.soft, 300) - 1, own.hard)
    spawner = Spawner(DEFAULT_SHELL, "01234567", "node1", limit=given)

    found = [
        printed(spawner, command)
        for command in (b"ulimit -n", b"sh -c 'ulimit -n'", b"prlimit -n -o SOFT --noheadings")
    ]
    with pytest.raises(OSError):  # noqa: PT011 - it is not said which
        spawner._spawn((b"/no/such/shell", [b"x"], {}), [])

    assert {str(given.soft).encode()} == {each.strip() for each in found}
    assert own == descriptor_limit() == DescriptorLimit(*resource.getrlimit(resource.RLIMIT_NOFILE))


def test_a_task_is_started_also_where_its_output_is_above_its_limit(printed):
    """As with more slots than it may have files open; and no descriptor of it stays open."""
    soft = max(map(int, os.listdir("/proc/self/fd"))) + 40
    given = DescriptorLimit(soft, descriptor_limit().hard)
    spawner = Spawner(DEFAULT_SHELL, "01234567", "node1", limit=given)
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]

    found = [
        printed(spawner, command)
        for command in (b"ulimit -n", b"sh -c 'ulimit -n'", b"echo " + b"x" * 200_000)
    ]
    read_end, write_end = os.pipe()
    claim = Claim(1, 1, 1, b"echo a; echo b >&2")
    outcome = reap(spawner.spawn(claim, 1, write_end, write_end))
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        through_pipe = pipe.read()
    for descriptor in many:
        os.close(descriptor)

    assert [b"%d\n" % soft, b"%d\n" % soft, b"x" * 200_000 + b"\n"] == found
    assert (True, b"a\nb\n") == (outcome.ok, through_pipe)


def test_a_limit_that_was_not_raised_is_not_touched(printed, monkeypatch):
    """No call of the system is made for it."""
    spawner = Spawner(DEFAULT_SHELL, "01234567", "node1")
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("the limit was set"))

    assert b"x\n" == printed(spawner, b"echo x")


# What Python adds to its own environment.


@pytest.mark.parametrize("given", [None, "C", "C.UTF-8"])
def test_a_variable_that_only_python_set_is_known(given):
    """Its coercion of the C locale; one that was given stays."""
    code = (
        "import os; from hypershell.runtime.initial_environment import added_by_python;"
        "print(os.environ.get('LC_CTYPE'), sorted(added_by_python()))"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()}
    if given is not None:
        environ["LC_CTYPE"] = given

    out = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, check=True, text=True
    ).stdout

    assert out.split(maxsplit=1)[1].strip() == ("[b'LC_CTYPE']" if given is None else "[]")
