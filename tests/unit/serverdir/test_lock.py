"""The lock of a server directory: one has it, and the others are told who."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from hypershell.access.errors import (
    DirectoryBusy,
    DirectoryClaimed,
    DirectoryLocked,
    DirectoryUnusable,
    ServerDied,
    ServerOutOfReach,
)
from hypershell.serverdir.directory import ServerDirectory
from hypershell.serverdir.holder import SERVER, Holder, this_process
from hypershell.serverdir.lock import DirectoryLock

RACERS = 50


@pytest.fixture
def local(directory: ServerDirectory) -> ServerDirectory:
    """A directory whose locks other machines do not see, as Lustre can be mounted."""
    return ServerDirectory(directory.path, reaches=lambda path: False)


def from_elsewhere(verb: str = SERVER) -> Holder:
    """A holder on another machine."""
    here = this_process(verb, "k3x9ab" if verb == SERVER else "")
    return replace(here, host="node9", boot="another", machine="another")


def leave_claim(directory: ServerDirectory, holder: Holder) -> None:
    """What a holder leaves that did not come to clean up."""
    with directory.hold():
        pass
    (directory.path / "claim").write_bytes(holder.to_bytes())
    (directory.path / "claim").chmod(0o400)


def held_elsewhere(fork: Callable, directory: ServerDirectory, verb: str, uid: str = "") -> int:
    """Another process that holds the directory until it is killed."""
    reader, writer = os.pipe()

    def hold() -> None:
        directory.hold(verb, uid)
        os.write(writer, b".")
        signal.pause()

    pid = fork(hold)
    assert b"." == os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return pid


def test_of_fifty_at_once_one_wins_and_the_others_say_who(directory, fork):
    """All start at the same moment, in a directory that nobody has made yet."""
    start_reader, start_writer = os.pipe()
    stop_reader, stop_writer = os.pipe()
    reader, writer = os.pipe()

    def race() -> None:
        os.close(start_writer)
        os.close(stop_writer)
        os.read(start_reader, 1)
        try:
            held = directory.hold(server_uid=f"uid{os.getpid()}")
        except DirectoryLocked as error:
            os.write(writer, f"lost {error}\n".encode())
            return
        os.write(writer, f"won {os.getpid()}\n".encode())
        os.read(stop_reader, 1)
        held.release()

    for _ in range(RACERS):
        fork(race)
    os.close(start_writer)
    os.close(writer)
    with open(reader) as pipe:
        lines = [pipe.readline() for _ in range(RACERS)]
    os.close(stop_writer)

    winners = [line.split()[1] for line in lines if line.startswith("won ")]
    assert 1 == len(winners)
    losers = [line for line in lines if line.startswith("lost ")]
    assert RACERS - 1 == len(losers)
    for line in losers:
        assert f"server uid{winners[0]}, pid {winners[0]} on {os.uname().nodename}" in line


def test_fifty_who_race_for_a_dead_servers_place_have_one_winner(directory, fork):
    """The claim of the dead one is in the way of all of them."""
    os.kill(held_elsewhere(fork, directory, SERVER, "old"), signal.SIGKILL)

    test_of_fifty_at_once_one_wins_and_the_others_say_who(directory, fork)


def test_a_second_server_is_told_who_and_how_to_stop_it(directory):
    """At once, with exit status 3; the first is not disturbed."""
    with directory.hold(server_uid="k3x9ab"):
        began = time.monotonic()
        with pytest.raises(DirectoryLocked) as caught:
            directory.hold(server_uid="other")

        assert time.monotonic() - began < 1
        said = f"a server is already running in {directory.path}: server k3x9ab"
        assert said in str(caught.value)
        assert f"hyper-shell server stop --server-dir {directory.path}" in caught.value.advice
        assert 3 == caught.value.exit_code
        assert isinstance(directory.why_no_server(), ServerOutOfReach)


def test_a_released_directory_is_free_at_once(directory):
    """Nothing but the lock file stays."""
    for _ in range(3):
        with directory.hold():
            pass

    assert ["lock"] == os.listdir(directory.path)


def test_a_killed_holder_is_succeeded(directory, fork):
    """The kernel freed the lock; the claim is a dead one's."""
    pid = held_elsewhere(fork, directory, SERVER)
    os.kill(pid, signal.SIGKILL)

    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    with directory.hold(server_uid="next") as held:
        assert held.path == directory.path
        assert "next" == DirectoryLock(directory.path).holder().server_uid


def test_a_short_lived_verb_is_waited_for(directory, fork):
    """It is through in a moment: here, when it is killed."""
    pid = held_elsewhere(fork, directory, "submit")
    reader, writer = os.pipe()

    def server() -> None:
        os.write(writer, b"?")
        directory.hold()
        os.write(writer, b"!")

    fork(server)
    assert b"?" == os.read(reader, 1)
    os.kill(pid, signal.SIGKILL)

    assert b"!" == os.read(reader, 1)
    os.close(reader)
    os.close(writer)


def test_a_verb_that_takes_too_long_is_named(directory, fork):
    """And waited for no longer than was asked."""
    pid = held_elsewhere(fork, directory, "submit")

    with pytest.raises(DirectoryBusy) as caught:
        directory.hold("cancel", wait_seconds=0.05)

    assert f"`hyper-shell submit`, pid {pid} on {os.uname().nodename}" in str(caught.value)


def test_those_who_look_do_not_keep_a_server_from_starting(directory, fork):
    """Ten look as fast as they can whether a server is there, while one starts and ends."""
    with directory.hold():
        pass

    def look() -> None:
        while True:
            directory.live_holder()

    for _ in range(4):
        fork(look)

    for _ in range(30):
        directory.hold().release()


def test_a_lock_file_that_is_removed_does_not_let_a_second_server_in(directory, fork):
    """The claim still says who is there, and the process lives."""
    pid = held_elsewhere(fork, directory, SERVER, "k3x9ab")
    (directory.path / "lock").unlink()

    with pytest.raises(DirectoryLocked, match=f"server k3x9ab, pid {pid}"):
        directory.hold()
    with pytest.raises(DirectoryLocked, match=f"server k3x9ab, pid {pid}"):
        directory.hold(take_over=True)


def test_a_fork_does_not_keep_the_lock(directory, fork):
    """A process that the server forked may outlive it."""
    reader, writer = os.pipe()
    held = directory.hold()

    def outlive() -> None:
        os.write(writer, b".")
        signal.pause()

    fork(outlive)
    os.read(reader, 1)
    held.release()

    directory.hold().release()
    os.close(reader)
    os.close(writer)


def test_a_fork_that_ends_does_not_free_the_lock(directory, fork):
    """Leaving the block in the child is not leaving it in the holder."""
    with directory.hold() as held:
        os.waitpid(fork(held.release), 0)

        with pytest.raises(DirectoryLocked, match=f"pid {os.getpid()} on"):
            directory.hold()


# Other machines


def test_a_claim_from_a_machine_that_cannot_be_asked_is_respected(local):
    """The lock is free here, which says nothing there; the way out is named."""
    leave_claim(local, from_elsewhere())

    with pytest.raises(DirectoryClaimed) as caught:
        local.hold()

    assert "server k3x9ab, pid" in str(caught.value)
    assert "node9" in str(caught.value)
    assert "--take-over" in caught.value.advice
    assert 3 == caught.value.exit_code
    assert isinstance(local.why_no_server(), ServerOutOfReach)


def test_it_is_taken_over_if_the_user_says_so(local):
    """And the old one, should it live after all, leaves the new claim alone."""
    leave_claim(local, from_elsewhere())

    with local.hold(take_over=True, server_uid="next"):
        assert "next" == DirectoryLock(local.path).holder().server_uid


def test_a_recorded_server_that_answers_is_not_taken_over(local, access, ring):
    """Whatever the user says: it is asked first."""
    with local.hold() as held:
        run = held.start_run(access, ring.new_seal())
    leave_claim(local, from_elsewhere())
    asked = []

    def answers(run):
        asked.append(run.access_path)
        return True

    with pytest.raises(DirectoryLocked, match="node9"):
        local.hold(take_over=True, answers=answers)

    assert [run.access_path] == asked


def test_where_locks_reach_the_lock_decides(directory, access, ring):
    """A server on another node of a cluster, killed with its job."""
    with directory.hold() as held:
        held.start_run(access, ring.new_seal())
    leave_claim(directory, from_elsewhere())
    if not DirectoryLock(directory.path).is_free():
        pytest.fail("nobody has the lock")

    assert isinstance(directory.why_no_server(), ServerDied)
    with directory.hold(answers=lambda run: False):
        pass


def test_a_claim_that_cannot_be_read_may_be_anybodys(local):
    """Refused, until the user says otherwise."""
    leave_claim(local, from_elsewhere())
    (local.path / "claim").chmod(0o600)
    (local.path / "claim").write_bytes(b"")

    with pytest.raises(DirectoryClaimed, match="cannot be read"):
        local.hold()
    with local.hold(take_over=True):
        pass


def test_who_was_taken_over_leaves_the_new_claim(directory):
    """Releasing removes one's own."""
    held = directory.hold()
    claim = directory.path / "claim"
    claim.unlink()
    claim.write_bytes(from_elsewhere().to_bytes())
    claim.chmod(0o400)

    held.release()

    assert b"node9" in claim.read_bytes()


# What stands where the lock should


def test_what_is_no_lock_file_is_a_clear_error(directory):
    """A link, a directory, a pipe; no hang."""
    directory.path.mkdir()
    lock = directory.path / "lock"
    for make, undo in (
        (lambda: lock.symlink_to("elsewhere"), lock.unlink),
        (lock.mkdir, lock.rmdir),
        (lambda: os.mkfifo(lock), lock.unlink),
    ):
        make()
        with pytest.raises(DirectoryUnusable, match="lock"):
            directory.hold()
        undo()

    assert [] == os.listdir(directory.path)


def test_a_directory_in_place_of_the_claim_is_a_clear_error(directory):
    """And the lock is given back."""
    (directory.path / "claim").mkdir(parents=True)

    for _ in range(2):
        with pytest.raises(DirectoryUnusable):
            directory.hold()
