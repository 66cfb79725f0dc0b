"""What a server learns of clients that were killed together with their supervisors."""

import contextlib
import errno
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hypershell.client import traces as module
from hypershell.client.begun_table import HEADER_BYTES, BegunTable
from hypershell.client.trace_file import KEPT, make_table, open_directory, sweep
from hypershell.client.traces import Traces
from hypershell.core.begun import GoneClient
from hypershell.runtime import procfs
from tests.helpers.components import lacks
from tests.helpers.farm import ROOT
from tests.helpers.waiting import until

ID = "0a1b2c3d"

LOOK = """
import sys
from hypershell.client.traces import Traces
print(Traces(sys.argv[1]).look([sys.argv[2]]))
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where the files are, in memory as they always are."""
    if not os.path.isdir("/dev/shm") or procfs.own_place() is None:
        lacks("no /dev/shm, or no /proc of our own")
    path = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a shell in a session of its own that says something first, and kill it in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: str, **variables: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["sh", "-c", f"echo begun; {command}"],
            env={"PATH": os.environ["PATH"], **variables},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def die(directory: Path, work: Callable[[BegunTable], None], client_id: str = ID) -> None:
    """A client whose table is in this directory works, and is killed with its supervisor."""
    supervisor = os.fork()
    if supervisor == 0:
        table = make_table(2, str(directory))
        if os.fork() == 0:
            table.belongs_to(client_id)
            work(table)
        else:
            os.wait()
        os._exit(0)  # as by a kill: nothing is closed or said
    assert (supervisor, 0) == os.waitpid(supervisor, 0)


def held(table: BegunTable) -> None:
    """Two tasks that began, of which one was interrupted; both processes have ended."""
    for task_id in (1, 2):
        table.mark(task_id, 7)
        table.started((task_id, 7), ended_process())
    table.interrupted((2, 7))


def ended_process() -> int:
    """The number of a process that was."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def look(directory: Path) -> list[GoneClient]:
    """One look by a server that has just started."""
    return Traces(str(directory)).look([ID, "ffffffff"])


def test_a_client_of_which_nothing_is_left_is_gone(directory):
    """What it had begun is known."""
    die(directory, held)

    assert [GoneClient(ID, [(1, 7)], [(2, 7)])] == look(directory)


def test_what_is_known_is_removed(directory):
    """No other server needs it."""
    die(directory, held)
    traces = Traces(str(directory))
    traces.look([ID])

    traces.remove(ID)

    assert [] == os.listdir(directory)
    assert not traces.is_busy


def test_a_client_that_joined_anew_is_known_by_its_new_id(directory):
    """Its tasks have that one."""

    def work(table: BegunTable) -> None:
        table.belongs_to("ffffffff")
        held(table)

    die(directory, work)

    assert ["ffffffff"] == [each.client_id for each in look(directory)]


def test_two_servers_may_look_at_once(directory):
    """Both had the client, one after the other."""
    die(directory, held)
    one, other = Traces(str(directory)), Traces(str(directory))

    assert one.look([ID]) == other.look([ID]) != []

    one.remove(ID)
    other.remove(ID)
    assert [] == one.look([ID])


def test_a_client_that_nobody_asks_for_is_left_alone(directory, start):
    """It may be another server's, and so are its tasks."""
    die(directory, held)
    task = start("sleep 60", TASK_CLIENT_ID=ID)

    assert [] == Traces(str(directory)).look(["ffffffff"])

    assert task.poll() is None


@pytest.mark.parametrize("survivor", ["supervisor", "client"])
def test_a_client_is_not_dead_while_one_of_its_processes_lives(directory, survivor):
    """Frozen, it may be; the kernel has the last word."""
    ready, write_end = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        table = make_table(2, str(directory))
        client = os.fork()
        if client == 0:
            table.belongs_to(ID)
            held(table)
        elif survivor == "supervisor":
            os.waitpid(client, 0)
        if (client == 0) == (survivor == "client"):
            os.write(write_end, b"%d\n" % os.getpid())
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    stopped = int(os.read(ready, 20))
    until(lambda: procfs.began(stopped), 5, "it is there")

    assert [] == look(directory)

    os.kill(stopped, signal.SIGKILL)
    os.waitpid(supervisor, 0)
    until(lambda: look(directory), 5, "both are dead")


def test_what_carries_the_id_of_a_dead_client_is_ended_first(directory, start, caplog):
    """By TERM, and by KILL what does not end by it; with all that is below."""
    die(directory, held)
    mild = start("exec sleep 60", TASK_CLIENT_ID=ID)
    stubborn = start("trap '' TERM; env -i setsid sleep 60 & echo $!; wait", TASK_CLIENT_ID=ID)
    other = start("exec sleep 60", TASK_CLIENT_ID="ffffffff")
    assert stubborn.stdout is not None
    below = int(stubborn.stdout.readline())
    traces = Traces(str(directory))

    with caplog.at_level(logging.WARNING):
        assert [] == traces.look([ID])
        assert traces.is_busy
        assert -signal.SIGTERM == mild.wait(5)
        gone = until(lambda: traces.look([ID]), 5, "all of it has ended")

    assert [ID] == [each.client_id for each in gone]
    assert -signal.SIGKILL == stubborn.wait(5)
    assert procfs.began(below) is None
    assert other.poll() is None
    (message,) = [each.getMessage() for each in caplog.records]
    assert f"client {ID} was killed together with its supervisor; ending" in message


def test_what_lives_in_the_session_of_a_task_is_waited_for(directory, start):
    """Its environment says nothing of its client; it may be another process by now, too."""
    task = start("exec sleep 60")
    die(directory, lambda table: (table.mark(1, 7), table.started((1, 7), task.pid)))
    traces = Traces(str(directory))

    assert [] == traces.look([ID])
    assert traces.is_busy
    assert task.poll() is None

    task.kill()
    task.wait()
    assert [GoneClient(ID, [(1, 7)], [])] == traces.look([ID])


def test_a_task_whose_process_is_not_known_may_be_any_new_session(directory, start):
    """The client was killed while it started it; the server's own processes are not meant."""
    die(directory, lambda table: table.mark(1, 7))
    began = procfs.began()
    assert began is not None
    of_before = {process.session for process in procfs.processes().values()}
    traces = Traces(str(directory))
    outside = subprocess.run(
        ["sh", "-c", "setsid sleep 60 >/dev/null & echo $!"], stdout=subprocess.PIPE, check=True
    )
    stranger = int(outside.stdout)
    until(lambda: os.getsid(stranger) not in of_before, 5, "it is a session")
    try:
        # It is no child of ours any more, as its shell has ended, but may be one of a subreaper.
        assert [] == traces.look([ID])
    finally:
        os.kill(stranger, signal.SIGKILL)


def test_a_server_below_a_task_of_a_dead_client_ends_nothing(directory, start, monkeypatch):
    """It would end itself."""
    die(directory, held)
    sibling = start("exec sleep 60", TASK_CLIENT_ID=ID)
    command = f"exec {sys.executable} -c '{LOOK}' {directory} {ID}"
    server = start(command, TASK_CLIENT_ID=ID, PYTHONPATH=str(ROOT))

    assert server.stdout is not None
    assert b"[]\n" == server.stdout.read()
    assert sibling.poll() is None


def test_a_server_below_a_process_of_a_dead_client_ends_nothing(directory, monkeypatch):
    """Its own environment may be another one."""
    die(directory, held)
    monkeypatch.setattr(procfs, "carriers", lambda _: {os.getppid()})
    monkeypatch.setattr(module, "_signal", lambda *_: pytest.fail("it ends its own ancestor"))

    assert [] == look(directory)


@pytest.mark.parametrize("place", [procfs.Place(1, 1), None])
def test_clients_elsewhere_are_not_judged(directory, monkeypatch, place):
    """A container has processes of its own, though it may have the same /dev/shm."""
    die(directory, held)
    monkeypatch.setattr(procfs, "own_place", lambda: place)

    assert [] == look(directory)


@pytest.mark.parametrize("name", ["carriers", "processes"])
def test_where_processes_cannot_be_looked_at_nothing_is_known(directory, monkeypatch, name):
    """A server may be short of descriptors: what it does not see may be there."""
    die(directory, held)

    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(procfs, name, fail)

    assert [] == look(directory)


def test_where_processes_are_hidden_nothing_is_known(directory, monkeypatch):
    """A task of another user would not be seen."""
    die(directory, held)
    monkeypatch.setattr(procfs, "sees_all", lambda: False)

    assert [] == look(directory)


def test_a_table_that_was_damaged_anywhere_is_never_an_error(directory, monkeypatch):
    """Each byte of its header and of its entries, changed: what says that it is whole is not."""
    die(directory, held)
    monkeypatch.setattr(procfs, "carriers", lambda _: set())
    monkeypatch.setattr(procfs, "processes", dict)
    (path,) = directory.iterdir()
    whole = path.read_bytes()
    used = 128 + 2 * 32
    chance = random.Random(7)

    for place in range(used):
        damaged = bytearray(whole)
        damaged[place] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        found = look(directory)
        sure = (*range(16, 56), *range(128, 136), *range(160, 168))
        assert place not in sure or [] == found, place
        assert [] == found or 1 == len(found[0].begun) == len(found[0].interrupted), place


@pytest.mark.parametrize("size", [0, 1, 127, 128, 192, 1000, 2**16])
def test_nonsense_says_nothing(directory, size):
    """Of any length."""
    chance = random.Random(size)
    for number in range(20):
        (directory / str(number)).write_bytes(chance.randbytes(size))
    (directory / "zeros").write_bytes(bytes(size))

    assert [] == look(directory)


def test_what_is_no_file_of_ours_says_nothing(directory):
    """Nor does it hold a server up."""
    die(directory, held)
    (path,) = directory.iterdir()
    kept = directory / "kept"
    path.rename(kept)
    (directory / "link").symlink_to(kept)
    os.mkfifo(directory / "fifo")
    (directory / "directory").mkdir()

    assert [ID] == [each.client_id for each in look(directory)]

    kept.unlink()
    assert [] == look(directory)


@pytest.mark.parametrize("mode", [0o755, 0o711, 0o770])
def test_a_directory_that_others_can_enter_is_not_used(directory, mode):
    """The table is in memory without a name then, and the files there say nothing."""
    die(directory, held)
    directory.chmod(mode)

    table = make_table(2, str(directory))

    assert [] == look(directory)
    assert 1 == len(os.listdir(directory))
    table.mark(1, 1)
    assert ([(1, 1)], []) == table.read()


def test_a_directory_of_somebody_else_is_not_used(directory, monkeypatch):
    """Anybody can make one of our name before we do."""
    die(directory, held)
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 2)

    make_table(2, str(directory))

    assert [] == look(directory)
    assert 1 == len(os.listdir(directory))


def test_a_directory_that_is_a_link_is_not_used(directory):
    """Somebody else may have made it."""
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir(0o700)
    link = directory / "link"
    link.symlink_to(elsewhere)

    make_table(2, str(link))

    assert [] == os.listdir(elsewhere)


def test_a_table_without_a_place_for_its_file_is_in_memory():
    """No /dev/shm, no space there."""
    table = make_table(2, "/nonexistent/hyper-shell")
    table.belongs_to(ID)

    table.mark(1, 1)

    assert ([(1, 1)], []) == table.read()
    assert not make_table(2, "/proc").grow()


def test_a_table_for_which_there_is_no_memory_left_is_no_file(directory, monkeypatch):
    """To write to one would end the client by SIGBUS."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)

    table = make_table(2, str(directory))

    table.mark(1, 1)
    assert ([(1, 1)], []) == table.read()
    assert [] == os.listdir(directory)


def test_all_that_may_be_written_has_its_memory(directory):
    """Whatever others put there afterwards."""
    table = make_table(100, str(directory))
    (path,) = directory.iterdir()

    for _ in range(2):
        assert 512 * path.stat().st_blocks >= HEADER_BYTES + 32 * table.room
        assert table.room >= 100
        assert table.grow()


def test_a_table_grows_while_there_is_memory(directory):
    """Most clients never need it."""
    table = make_table(1, str(directory))
    (path,) = directory.iterdir()
    before = path.stat().st_blocks
    for number in range(table.room):
        table.mark(number, 1)

    assert table.grow()

    assert path.stat().st_blocks > before
    assert table.room > 0
    path.unlink()
    path.write_bytes(b"")
    while table.room:
        table.mark(2 * table.capacity + table.room, 1)
    assert not table.grow()  # that is another file


def test_a_table_that_its_supervisor_removes_leaves_the_newest_of_others(directory):
    """What runs was not run again stays, for a while."""
    for number in range(3):
        die(directory, held, f"{number:08x}")
    alive = make_table(2, str(directory))

    with open_directory(str(directory)) as descriptor:
        sweep(descriptor, keep=2)

    assert 3 == len(os.listdir(directory))
    assert [] == Traces(str(directory)).look(["00000000"])
    assert 2 == len(Traces(str(directory)).look(["00000001", "00000002"]))
    assert KEPT > 2
    alive.remove()
    assert 2 == len(os.listdir(directory))


@pytest.mark.parametrize("trial", range(4))
def test_a_client_killed_at_any_moment_leaves_a_whole_table(directory, trial):
    """Each task is one that was marked: lease 7 times the id."""
    ready, write_end = os.pipe()
    client = os.fork()
    if client == 0:
        table = make_table(2, str(directory))
        table.belongs_to(ID)
        os.write(write_end, b"s")
        for number in range(1, 10**9):
            table.mark(number, 7 * number)
            table.started((number, 7 * number), 2**30 + number)
            if number > 16:
                table.forget((number - 16, 7 * (number - 16)))
    os.read(ready, 1)
    sum(range(random.Random(trial).randrange(200_000)))
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(module, "_is_any_new", lambda *_: False)

    (gone,) = look(directory)

    monkey.undo()
    assert all(lease == 7 * task_id for task_id, lease in gone.begun)
    assert len(gone.begun) <= 17
    for descriptor in (ready, write_end):
        os.close(descriptor)
