"""Homes in a server directory: who has which, and which run directories may go."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hypershell.access.endpoints import Access, generate
from hypershell.access.errors import (
    DirectoryLocked,
    RunMissing,
    RunsAmbiguous,
    ServerEnded,
)
from hypershell.access.keyring import Keyring
from hypershell.serverdir.directory import ServerDirectory
from hypershell.serverdir.held import LockedDirectory
from hypershell.serverdir.homes import MAIN, homes_in
from tests.helpers.access import read


def opens(uid: str) -> Access:
    """Both planes of a server of this uid."""
    return replace(generate(("node1", 1), ("node1", 2)), server_uid=uid)


def begin(held: LockedDirectory, uid: str, ring: Keyring, *, has_tasks: bool = False) -> Path:
    """The directory of a run that is published."""
    if has_tasks:
        held.database_path.touch()
    return held.start_run(opens(uid), ring.new_seal()).path


def finished(home: str) -> set[str]:
    """Nothing is unfinished anywhere."""
    return set()


def test_a_second_run_has_a_home_beside_the_first(directory: ServerDirectory, ring: Keyring):
    """`current` stays where it is, and each is found by its uid."""
    with directory.hold(server_uid="first") as one, directory.hold_new_home("second") as two:
        second, first = begin(two, "second", ring, has_tasks=True), begin(one, "first", ring)

        assert ["first", "second"] == [each.holder.server_uid for each in directory.live_runs()]
        assert "002" == os.readlink(directory.path / "current")
        assert first / "access.json" == directory.find_access("first")
        assert second / "access.json" == directory.find_access("second")
        assert "" == directory.only_run()
        assert ["", "001"] == homes_in(directory.path)
    assert [] == directory.live_runs()


def test_the_only_live_run_is_the_one_that_is_meant(directory: ServerDirectory, ring: Keyring):
    """Of two, one has to be named; a run that does not exist is said to be missing."""
    with directory.hold_new_home("b") as held:
        run = begin(held, "b", ring, has_tasks=True)
        assert "b" == directory.only_run()
        assert run / "access.json" == directory.find_access()
        with directory.hold_new_home("c") as other:
            begin(other, "c", ring, has_tasks=True)
            with pytest.raises(RunsAmbiguous, match="b, c") as caught:
                directory.only_run()
        with pytest.raises(RunMissing, match="there is no run d"):
            directory.find_access("d")

    assert 2 == caught.value.exit_code


def test_a_home_is_held_by_one_and_taken_up_again(directory: ServerDirectory, ring: Keyring):
    """By a later run, which is found by the uid of the first, too."""
    held = directory.hold_new_home("b")
    begin(held, "b", ring, has_tasks=True)
    with pytest.raises(DirectoryLocked):
        directory.hold_home("001", server_uid="c")
    held.release()

    with directory.hold_home("001", server_uid="c") as again:
        before = again.predecessor()
        run = begin(again, "c", ring)

        assert before is not None
        assert "b" == before.record.server_uid
        assert directory.path / "001" / "tasks.db" == again.database_path
        assert run / "access.json" == directory.find_access("b")


def test_a_clean_end_of_a_run_beside_another_is_told(directory: ServerDirectory, ring: Keyring):
    """By its uid, with when and why."""
    with directory.hold_new_home("b") as held:
        held.start_run(opens("b"), ring.new_seal()).end("it was stopped")

    with pytest.raises(ServerEnded, match="it was stopped"):
        directory.find_access("b")


def test_a_start_that_fails_leaves_no_home(directory: ServerDirectory):
    """Neither one without a database, nor the number that it would have had."""
    directory.hold_new_home("b").release()
    with directory.hold() as held:
        assert 1 == held.place()

    assert ["lock"] == sorted(os.listdir(directory.path))


def test_the_access_file_that_was_made_beforehand_is_the_same_in_the_run(
    directory: ServerDirectory, ring: Keyring
):
    """Byte for byte."""
    text = b"whatever somebody sealed"
    with directory.hold() as held:
        run = held.start_run(opens("a"), text)

    assert text == run.access_path.read_bytes()
    assert 0o400 == run.access_path.stat().st_mode & 0o777


def test_old_runs_go_and_what_is_needed_stays(directory: ServerDirectory, ring: Keyring):
    """The newest, live ones, unfinished ones, the last dead one, and homes that are shared."""
    with directory.hold() as held:
        for uid in ("old", "unfinished"):
            held.start_run(opens(uid), ring.new_seal()).end("done")
    with directory.hold_new_home("done") as held:
        begin(held, "done", ring, has_tasks=True)
    with directory.hold_home("003", server_uid="again") as held:
        held.start_run(opens("again"), ring.new_seal()).end("done")
    with directory.hold_new_home("dead") as held:
        begin(held, "dead", ring, has_tasks=True)
    live = directory.hold_new_home("live")
    begin(live, "live", ring, has_tasks=True)

    with directory.hold(server_uid="new") as held:
        held.start_run(opens("new"), ring.new_seal())
        gone = held.prune(1, lambda home: {"unfinished"} if home == MAIN else set())
        kept = held.prune(1, lambda home: None)
    live.release()

    assert (["001", "003", "004"], []) == (gone, kept)
    assert ["002", "005", "006", "007"] == sorted(n for n in os.listdir(directory.path) if "0" in n)


def test_a_run_whose_database_has_unfinished_tasks_stays_with_its_home(
    directory: ServerDirectory, ring: Keyring
):
    """Also where it was resumed by another run, which has the record."""
    with directory.hold_new_home("b") as held:
        held.start_run(opens("b"), ring.new_seal()).end("stopped")
        held.database_path.touch()
    with directory.hold() as held:
        for uid in ("x", "y"):
            held.start_run(opens(uid), ring.new_seal()).end("done")
        gone = held.prune(1, lambda home: {"b"} if home == "001" else set())

    assert ["002"] == gone


def test_only_the_holder_of_the_directory_prunes(directory: ServerDirectory, ring: Keyring):
    """Of runs beside it none does: two at once would look at what the other removes."""
    with directory.hold() as held:
        held.start_run(opens("a"), ring.new_seal()).end("done")
    with directory.hold_new_home("b") as beside:
        begin(beside, "b", ring, has_tasks=True)
        assert [] == beside.prune(1, finished)

    assert (directory.path / "001").exists()


def test_what_a_pruner_left_that_was_killed_goes_with_the_next(
    directory: ServerDirectory, ring: Keyring
):
    """It is no run any more, and nobody's."""
    (directory.path / "x").mkdir(parents=True)
    left = directory.path / ".hyper-shell-pruned-17"
    (left / "deep").mkdir(parents=True)
    directory.path.chmod(0o700)

    with directory.hold() as held:
        held.start_run(opens("a"), ring.new_seal())
        held.prune(1, finished)

    assert not left.exists()


def test_a_reader_of_a_pruned_run_reads_on(directory: ServerDirectory, ring: Keyring):
    """It has the file open; whoever comes later finds no such run."""
    with directory.hold() as held:
        old = held.start_run(opens("a"), ring.new_seal())
        old.end("done")
        held.start_run(opens("b"), ring.new_seal())
        with old.access_path.open("rb") as file:
            assert ["001"] == held.prune(1, finished)
            assert file.read()
        assert read(directory.find_access(), ring).server_uid == "b"

    with pytest.raises(RunMissing):
        directory.find_access("a")
