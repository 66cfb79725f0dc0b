"""The server directory: where it is, what may be in it, runs, and how a server is found."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hypershell import __version__
from hypershell.access.access_file import write
from hypershell.access.endpoints import generate
from hypershell.access.errors import (
    CurrentBlocked,
    DirectoryExposed,
    DirectoryForeign,
    DirectoryOpen,
    DirectoryUnusable,
    NeverStarted,
    NoHome,
    ServerDied,
    ServerEnded,
    ServerOutOfReach,
)
from hypershell.access.keys import CLIENT, WORKER
from hypershell.core.errors import NoServer
from hypershell.serverdir.directory import ServerDirectory, server_directory
from hypershell.serverdir.run_record import Run, runs_in
from tests.helpers.access import read


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def started(directory, access, ring, ended=True) -> Run:
    """A run that was started and perhaps ended, and its directory released."""
    with directory.hold(server_uid=access.server_uid) as held:
        run = held.start_run(access, ring.new_seal(), started=1e9)
        if ended:
            run.end("stopped", ended=1.1e9)
    return run


# Which directory


def test_the_option_wins_over_the_environment_over_the_default():
    """And the path is absolute, as a server may change its working directory."""
    environ = {"HOME": "/home/u", "HYPERSHELL_SERVER_DIR": "/env"}

    assert Path("/opt") == server_directory("/opt", environ).path
    assert Path("/env") == server_directory(None, environ).path
    environ["HYPERSHELL_SERVER_DIR"] = ""
    assert Path("/home/u/.hyper-shell") == server_directory(None, environ).path
    assert Path.cwd() / "foo" == server_directory("foo", environ).path


def test_a_tilde_that_the_shell_left_alone_is_home():
    """As in --server-dir=~/farm."""
    assert Path("/home/u/farm") == server_directory("~/farm", {"HOME": "/home/u"}).path
    assert Path.cwd() / "~x" == server_directory("~x", {"HOME": "/home/u"}).path


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_no_home_is_a_clear_error(environ):
    """Only where the default is wanted."""
    with pytest.raises(NoHome, match="HOME is not set") as caught:
        server_directory(None, environ)

    assert 3 == caught.value.exit_code
    assert "--server-dir" in caught.value.advice
    assert Path("/x") == server_directory("/x", environ).path


def test_an_empty_name_is_a_clear_error():
    """`--server-dir=` with a variable that is not set."""
    with pytest.raises(DirectoryUnusable, match="the name is empty"):
        server_directory("", {"HOME": "/home/u"})


def test_naming_a_directory_does_not_make_it(tmp_path):
    """`info` must not leave traces."""
    directory = server_directory(str(tmp_path / "a" / "b"), {})

    with pytest.raises(NeverStarted):
        directory.find_access()

    assert [] == os.listdir(tmp_path)


# Making and checking it


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_all_of_it_is_closed_to_others_whatever_the_umask(tmp_path, access, ring, mask):
    """Directories 0700, the access file 0400, everything else 0600 at most."""
    directory = ServerDirectory(tmp_path / "above" / "farm")
    seal = ring.new_seal()
    before = os.umask(mask)
    try:
        with directory.hold() as held:
            run = held.start_run(access, seal)
            modes = {path: mode_of(path) for path in directory.path.rglob("*")}
    finally:
        os.umask(before)

    assert 0o700 == mode_of(tmp_path / "above") == mode_of(directory.path) == mode_of(run.path)
    assert 0o400 == mode_of(run.access_path)
    assert 0o600 == mode_of(run.path / "server.json") == modes[directory.path / "lock"]
    assert not [path for path, mode in modes.items() if mode & 0o077]


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750, 0o711, 0o1770])
def test_an_empty_directory_that_others_may_enter_is_refused(tmp_path, mode):
    """Somebody made it for something: its rights are not changed, and nothing is put into it."""
    (tmp_path / "foo").mkdir()
    (tmp_path / "foo").chmod(mode)

    with pytest.raises(DirectoryOpen, match=f"{mode:04o}") as caught:
        ServerDirectory(tmp_path / "foo").hold()

    assert 3 == caught.value.exit_code
    assert "chmod 700" in caught.value.advice
    assert mode == mode_of(tmp_path / "foo")
    assert [] == list((tmp_path / "foo").iterdir())


def test_an_empty_directory_of_ones_own_is_used(tmp_path):
    """Nobody else has any right in it."""
    (tmp_path / "foo").mkdir(mode=0o700)

    with ServerDirectory(tmp_path / "foo").hold():
        assert 0o700 == mode_of(tmp_path / "foo")


def test_a_directory_in_use_is_not_changed(tmp_path):
    """Others may look into it; what a server puts there is closed in itself."""
    (tmp_path / "file").touch()
    tmp_path.chmod(0o755)

    with ServerDirectory(tmp_path).hold():
        assert 0o755 == mode_of(tmp_path)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o1777])
def test_a_directory_that_others_write_into_is_refused(tmp_path, mode):
    """They could plant files in it."""
    (tmp_path / "file").touch()
    tmp_path.chmod(mode)

    with pytest.raises(DirectoryExposed, match=f"{mode:04o}") as caught:
        ServerDirectory(tmp_path).hold()

    assert "chmod 700" in caught.value.advice
    assert 3 == caught.value.exit_code


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    "name", ["", "lock", "claim", "current", "001", "access.json", "hyper-shell.db-wal"]
)
def test_what_belongs_to_another_user_is_refused(tmp_path, name):
    """The directory, or what was planted in it while others could write."""
    (tmp_path / "lock").touch()
    if name not in ("", "lock"):
        (tmp_path / name).touch()
    os.chown(tmp_path / name, 12345, -1)

    with pytest.raises(DirectoryForeign, match="12345"):
        ServerDirectory(tmp_path).hold()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_link_of_another_user_is_refused(tmp_path):
    """Its owner could lead it elsewhere at any time."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    os.chown(tmp_path / "link", 12345, -1, follow_symlinks=False)

    with pytest.raises(DirectoryForeign):
        ServerDirectory(tmp_path / "link").hold()


def test_a_link_to_a_directory_will_do(tmp_path, access, ring):
    """~/.hyper-shell may be kept on a larger disk."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")

    started(ServerDirectory(tmp_path / "link"), access, ring)

    assert (tmp_path / "real" / "001" / "access.json").exists()


def test_things_that_are_no_directory_are_clear_errors(tmp_path):
    """A file, a file above it, a link that leads nowhere, a loop."""
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")

    for name in ("file", "file/below", "dangling", "loop"):
        with pytest.raises(DirectoryUnusable, match="as the server directory") as caught:
            ServerDirectory(tmp_path / name).hold()
        assert 3 == caught.value.exit_code


def test_an_unwritable_directory_is_a_clear_error(ordinary_user):
    """As an ordinary user; one that was used before, too."""

    def new(folder: Path) -> None:
        folder.chmod(0o500)
        ServerDirectory(folder).hold()

    def used(folder: Path) -> None:
        folder.chmod(0o700)
        ServerDirectory(folder).hold().release()
        folder.chmod(0o500)
        ServerDirectory(folder).hold()

    for function in (new, used):
        message = ordinary_user(function)
        assert message.startswith("DirectoryUnusable: cannot use ")
        assert message.endswith("permission denied")


def test_a_directory_that_may_not_be_entered_is_a_clear_error_for_readers(ordinary_user):
    """Not `never started`."""

    def look(folder: Path) -> None:
        folder.chmod(0)
        ServerDirectory(folder).find_access()

    message = ordinary_user(look)

    assert message.startswith("FileUnreadable: cannot read the server directory")
    assert "permission denied" in message


READ_ONLY = """
import sys
from pathlib import Path
from hypershell.serverdir.directory import ServerDirectory
try:
    ServerDirectory(Path(sys.argv[1])).hold()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_read_only_file_system_is_a_clear_error(tmp_path):
    """Whether the directory is there or not."""
    mount = f'mount -t tmpfs -o ro,mode=700 none {tmp_path} && exec "$0" -c "$1" {tmp_path}/farm'
    command = ["unshare", "-rm", "sh", "-c", mount, sys.executable, READ_ONLY]
    if shutil.which("unshare") is None:
        pytest.skip("this machine has no unshare")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    if done.returncode:
        pytest.skip("nothing may be mounted here")

    assert done.stdout.startswith("DirectoryUnusable cannot use ")
    assert "read-only file system" in done.stdout


# Runs


def test_a_run_has_its_own_directory_and_the_link(directory, access, ring):
    """A relative link, the record, and the access file."""
    with directory.hold() as held:
        run = held.start_run(access, ring.new_seal(), started=1e9)

        assert directory.path / "001" == run.path
        assert "001" == os.readlink(directory.path / "current")
        assert access == read(directory.find_access(), ring)
        record = json.loads((run.path / "server.json").read_bytes())
    assert access.server_uid == record["server_uid"]
    assert (os.getpid(), os.uname().nodename) == (record["pid"], record["host"])
    assert (1e9, None, __version__) == (record["started"], record["ended"], record["version"])
    assert ("node1", 1234) == (record["worker_host"], record["worker_port"])
    assert "hs1_" not in json.dumps(record)


def test_numbers_go_up_and_directories_stay(directory, access, ring):
    """Also past what was removed, and past 999."""
    for expected in ("001", "002"):
        assert expected == started(directory, access, ring).path.name
    shutil.rmtree(directory.path / "001")
    assert "003" == started(directory, access, ring).path.name
    (directory.path / "999").touch()
    (directory.path / "0001").mkdir()
    (directory.path / ("9" * 200)).mkdir()

    assert "1000" == started(directory, access, ring).path.name

    assert ["002", "003", "1000"] == [run.path.name for run in runs_in(directory.path)]
    assert 1000 == directory.last_run().number


def test_a_clean_end_removes_the_link_and_keeps_the_run(directory, access, ring):
    """And leaves a record of how it ended, and no claim."""
    run = started(directory, access, ring)

    assert ["001", "lock"] == sorted(os.listdir(directory.path))
    record = json.loads((run.path / "server.json").read_bytes())
    assert (1.1e9, "stopped") == (record["ended"], record["reason"])


def test_ending_twice_is_ending_once(directory, access, ring):
    """A signal may come while the server ends by itself."""
    with directory.hold() as held:
        run = held.start_run(access, ring.new_seal())
        run.end("stopped")
        run.end("stopped")

    assert not os.path.lexists(directory.path / "current")


def test_an_old_server_that_ends_late_leaves_the_new_ones_link(directory, access, ring):
    """Its own directory gets the record of its end, the link stays."""
    with directory.hold() as held:
        old = held.start_run(access, ring.new_seal())
        new = held.start_run(access, ring.new_seal())

        old.end("stopped")

    assert new.path.name == os.readlink(directory.path / "current")


@pytest.mark.parametrize("target", ["nowhere", "../../etc", "001", "file", "/"])
def test_a_link_of_any_kind_is_not_an_obstacle(directory, access, ring, target):
    """Dangling, to elsewhere, to a file: it is replaced, and what it led to is let be."""
    with directory.hold():
        (directory.path / "file").write_text("mine")
        (directory.path / "current").symlink_to(target)

    with directory.hold() as held:
        assert held.predecessor() is None
        held.start_run(access, ring.new_seal())

    assert "001" == os.readlink(directory.path / "current")
    assert "mine" == (directory.path / "file").read_text()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_no_link_is_not_replaced(directory, make):
    """Someone put it there. The lock is free again."""
    with directory.hold():
        make(directory.path / "current")

    for _ in range(2):
        with pytest.raises(CurrentBlocked, match="current is not a link") as caught:
            directory.hold()
    assert 3 == caught.value.exit_code

    assert os.path.lexists(directory.path / "current")


def test_a_start_that_fails_leaves_no_trace(directory, access, ring):
    """The link that is there stays, and the number is free."""
    started(directory, access, ring, ended=False)

    with directory.hold() as held, pytest.raises(ValueError, match="full"):
        held.start_run(access.only(CLIENT), ring.new_seal())

    assert ["001", "current", "lock"] == sorted(os.listdir(directory.path))
    assert "001" == os.readlink(directory.path / "current")


# Taking over


def test_a_dead_predecessor_leaves_its_keys_and_ports(directory, access, ring):
    """Its clients look for a server that opens to the keys they have."""
    started(directory, access, ring, ended=False)

    with directory.hold() as held:
        before = held.predecessor()
        assert before is not None
        assert access == read(before.access_path, ring)
        held.start_run(generate(("node1", 1), ("node1", 2)), ring.new_seal())

    assert ["001", "002", "current", "lock"] == sorted(os.listdir(directory.path))
    assert "002" == os.readlink(directory.path / "current")


def test_a_clean_end_leaves_nothing_to_take_over(directory, access, ring):
    """Nor does the first start."""
    with directory.hold() as held:
        assert held.predecessor() is None
    started(directory, access, ring)

    with directory.hold() as held:
        assert held.predecessor() is None


def test_a_power_cut_between_record_and_link_is_a_clean_end(directory, access, ring):
    """The record of the end is there, the link still is too."""
    started(directory, access, ring)
    (directory.path / "current").symlink_to("001")

    with directory.hold() as held:
        assert held.predecessor() is None
    with pytest.raises(ServerEnded):
        directory.find_access()


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b"[" * 60_000, b'{"pid": "x"}'])
def test_a_damaged_record_is_no_obstacle(directory, access, ring, text):
    """What counts for a successor is the access file."""
    run = started(directory, access, ring, ended=False)
    (run.path / "server.json").write_bytes(text)

    with directory.hold() as held:
        before = held.predecessor()

        assert before is not None
        assert before.record is None
        assert access == read(before.access_path, ring)
    assert isinstance(directory.why_no_server(), NeverStarted)


# Finding a server


def test_the_current_run_comes_before_a_file_that_lies_there(directory, access, ring):
    """DIR/current/access.json, else DIR/access.json."""
    directory.path.mkdir()
    alone = directory.path / "access.json"
    write(alone, access.only(WORKER), ring.new_seal())
    assert alone == directory.find_access()

    with directory.hold() as held:
        run = held.start_run(access, ring.new_seal())
        assert run.path.name == directory.find_access().resolve().parent.name
        run.end("stopped")

    assert alone == directory.find_access()


def test_a_run_copied_to_another_file_system_is_found(directory, access, ring):
    """There the link became a directory."""
    (directory.path / "current").mkdir(parents=True)
    write(directory.path / "current" / "access.json", access, ring.new_seal())

    assert access == read(directory.find_access(), ring)


@pytest.mark.parametrize("target", ["nowhere", "file", "current"])
def test_a_link_that_leads_to_no_run_is_no_server(directory, target):
    """Dangling, to a file, to itself."""
    directory.path.mkdir()
    (directory.path / "file").touch()
    (directory.path / "current").symlink_to(target)

    with pytest.raises((NeverStarted, NoServer)) as caught:
        directory.find_access()

    assert 4 == caught.value.exit_code


def test_four_ways_of_having_no_server_have_four_messages(directory, access, ring, fork):
    """Never started here, ended cleanly, died, out of reach; each says what to do next."""
    path = directory.path
    never = directory.why_no_server()
    started(directory, access, ring)
    ended = directory.why_no_server()
    started(directory, access, ring, ended=False)
    died = directory.why_no_server()
    with directory.hold(server_uid="k3x9ab"):
        silent = directory.why_no_server()

    assert isinstance(never, NeverStarted)
    assert f"no server was ever started in {path}" == str(never)
    assert isinstance(ended, ServerEnded)
    assert f"the last one ({access.server_uid}) ended on 2004-" in str(ended)
    assert isinstance(died, ServerDied)
    assert f"{access.server_uid}, pid {os.getpid()} on " in str(died)
    assert "hyper-shell server --restart --server-dir" in died.advice
    assert isinstance(silent, ServerOutOfReach)
    assert f"server k3x9ab, pid {os.getpid()} on {os.uname().nodename}" in str(silent)
    for error in (never, ended, died, silent):
        assert 4 == error.exit_code
        assert "hyper-shell server" in error.advice
        assert str(path) in error.advice


def test_a_verb_at_work_is_not_a_server(directory, access, ring):
    """A submission to the database of a stopped server, say."""
    started(directory, access, ring)

    with directory.hold("submit"):
        assert isinstance(directory.why_no_server(), ServerEnded)


def test_a_killed_server_is_found_dead_and_succeeded(directory, access, ring, fork):
    """Its directory stays, the link moves on, the keys are there for the next one."""
    reader, writer = os.pipe()

    def serve() -> None:
        directory.hold(server_uid=access.server_uid).start_run(access, ring.new_seal())
        os.write(writer, b".")
        signal.pause()

    pid = fork(serve)
    os.read(reader, 1)
    assert isinstance(directory.why_no_server(), ServerOutOfReach)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert isinstance(directory.why_no_server(), ServerDied)
    with directory.hold() as held:
        before = held.predecessor()
        assert before is not None
        assert access == read(before.access_path, ring)
        run = held.start_run(access, ring.new_seal())
        assert "002" == run.path.name == os.readlink(directory.path / "current")
    assert (directory.path / "001" / "access.json").exists()
    os.close(reader)
    os.close(writer)


def test_no_key_stands_in_the_directory(directory, access, ring):
    """Not in any file, not by 16 bytes."""
    started(directory, access, ring, ended=False)
    texts = [path.read_bytes() for path in directory.path.rglob("*") if path.is_file()]

    for endpoint in access.endpoints.values():
        pieces = [endpoint.key.encode()[i : i + 16] for i in range(len(endpoint.key) - 15)]
        assert not [piece for piece in pieces for text in texts if piece in text]
