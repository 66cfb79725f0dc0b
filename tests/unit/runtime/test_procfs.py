"""What /proc says of processes: real ones, that are alive, dead, or somebody else's by now."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from hypershell.runtime.procfs import (
    descendants,
    environments,
    live_sessions,
    load_average,
    memory_percent,
)
from tests.helpers.waiting import until

ORPHAN_MAKER = """
import ctypes, subprocess, sys
sys.path[:0] = sys.argv[1:]
from hypershell.runtime.procfs import descendants
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # be a subreaper
shell = subprocess.Popen(["sh", "-c", "(sleep 60 >&- & echo $!); sleep 60 >&- & echo $!; wait"],
                         stdout=subprocess.PIPE, text=True)
orphan, child = int(shell.stdout.readline()), int(shell.stdout.readline())
print(set(descendants()) == {orphan, child, shell.pid})
shell.kill()  # and is a zombie from then on, whose children are ours
shell.stdout.read()
import os
os.waitid(os.P_PID, shell.pid, os.WEXITED | os.WNOWAIT)
print(set(descendants()) == {orphan, child})
for pid in (orphan, child):
    os.kill(pid, 9)
"""


@pytest.fixture
def start() -> Iterator:
    """Start a process in a group of its own; it is killed in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*command: str, **variables: str) -> int:
        env = {"PATH": os.environ["PATH"], **variables}
        started.append(subprocess.Popen(command, start_new_session=True, env=env))
        return started[-1].pid

    yield run
    for process in started:
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            pass
        process.wait()


def wait_until_ended(pid: int) -> None:
    """It is a zombie then."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_zombie_is_not_alive(start):
    """A session of which only an unreaped leader is left can be let go."""
    leader = start("true")
    wait_until_ended(leader)

    sessions = live_sessions()

    assert leader not in sessions
    assert os.getpgid(0) in sessions[os.getsid(0)]


def test_a_session_is_alive_as_long_as_one_of_its_processes_is(start):
    """Its leader may have ended long ago."""
    leader = start("sh", "-c", "sleep 60 & exit 0")
    wait_until_ended(leader)

    assert {leader} == live_sessions()[leader]


def test_a_session_has_the_groups_that_its_processes_made(start):
    """As `timeout` makes one for itself and what it runs."""
    leader = start("timeout", "60", "sh", "-c", "timeout 60 sleep 60")

    until(lambda: len(live_sessions()[leader]) == 2, 10.0, "there is a group in the session")


def test_a_name_with_brackets_and_blanks_confuses_nobody(start, tmp_path):
    """The name of a process comes before its state, and is whatever it says."""
    program = tmp_path / "a) Z 1 ("
    program.symlink_to("/bin/sleep")

    leader = start(str(program), "60")

    assert leader in live_sessions()
    assert leader in descendants()


def test_descendants_are_those_that_live_orphans_among_them():
    """Below a subreaper; what a zombie started is found through it."""
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN_MAKER, *sys.path],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert ["True", "True"] == done.stdout.split()


def test_descendants_are_those_that_psutil_finds(start):
    """Where nothing has ended: the two know the same tree."""
    start("sh", "-c", "sleep 60 & sleep 60")

    ours = set(descendants())
    theirs = {child.pid for child in psutil.Process().children(recursive=True)}

    assert ours <= theirs


def test_a_process_shows_the_variables_with_which_it_was_started(start):
    """Each as it was given; this process itself is left out."""
    pid = start("sleep", "60", MARK="here")

    found = dict(environments())

    assert b"MARK=here" in found[pid]
    assert os.getpid() not in found


def test_the_load_of_a_machine_is_a_number():
    """As its own tools say."""
    assert 0 <= load_average()
    assert 0 < memory_percent() < 100
