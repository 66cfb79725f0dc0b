"""What /proc says of processes: real ones, that are alive, dead, or somebody else's by now."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from hypershell.runtime.procfs import (
    alive_below,
    began,
    below,
    carriers,
    descendants,
    environments,
    live_sessions,
    load_average,
    memory_percent,
    own_place,
    processes,
    running_below,
    sees_all,
    stopped_below,
    trees,
)
from tests.helpers.components import lacks
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


WITHOUT_MAIN_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
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


def test_a_process_whose_main_thread_has_ended_is_alive(start):
    """It looks like a zombie, and runs on."""
    pid = start(sys.executable, "-c", WITHOUT_MAIN_THREAD)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10, "it has ended")

    assert pid in live_sessions()
    assert pid in descendants()
    assert pid in processes()
    assert began(pid) == processes()[pid].began
    own = os.getpid()
    assert pid in alive_below(own) & running_below(own, ())
    assert trees([own])[own][pid] == began(pid)
    os.kill(pid, signal.SIGSTOP)
    assert pid in stopped_below(own, ())


def test_who_carries_a_variable_is_found_and_all_that_is_below(start):
    """A value that begins alike is another."""
    pid = start("sh", "-c", "env -i sleep 60 & sleep 60", MARK="here")
    start("sleep", "60", MARK="heretic")
    until(lambda: len(below([pid], processes().values())) == 2, 10, "what it started is there")

    carrying = carriers(b"MARK=here")

    (child,) = carrying - {pid}
    assert child in below([pid], processes().values())
    assert below([], processes().values()) == set()


def test_what_cannot_be_looked_at_is_no_process_that_has_ended(monkeypatch):
    """Where descriptors are short, nobody is taken for dead."""

    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("builtins.open", fail)

    for look in (processes, lambda: carriers(b"MARK=here")):
        with pytest.raises(OSError, match="too many"):
            look()
    assert not sees_all()


def test_this_process_is_in_a_place_and_among_others():
    """As far as /proc is one of this place."""
    assert own_place() is not None
    assert sees_all()
    assert began() == processes()[os.getpid()].began


def test_where_proc_shows_the_processes_of_others_there_is_no_place(need):
    """A set of process numbers of its own, with the /proc of before: the numbers mean others."""
    look = "from hypershell.runtime.procfs import own_place; print(own_place())"
    command = [need("unshare"), "--pid", "--fork", sys.executable, "-c", look]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        lacks("no namespace of process numbers can be made here")

    assert "None" == found.stdout.strip()


def test_the_load_of_a_machine_is_a_number():
    """As its own tools say."""
    assert 0 <= load_average()
    assert 0 < memory_percent() < 100


FOREIGN = """
import os, sys
sys.path[:0] = sys.argv[1:]
from hypershell.runtime import procfs
print(procfs.shows_us(), procfs.descendants(), procfs.live_sessions(), procfs.children_of(1),
      procfs.ancestors(os.getpid()), procfs.own_place())
"""


def test_a_proc_of_another_namespace_says_nothing():
    """Its numbers are of other processes: none of them is ours to signal."""
    unshare = ["unshare", "--pid", "--fork"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        lacks("no namespace of process numbers can be made here")

    words = [*unshare, sys.executable, "-c", FOREIGN, *sys.path]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    assert "False [] {} None None None\n" == said
