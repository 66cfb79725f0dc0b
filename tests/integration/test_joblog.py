"""`--joblog PATH`: a line for each task as it becomes final, in the format of GNU parallel."""

import sqlite3

from hypershell.core.joblog import JOBLOG_HEADER


def rows(farm) -> list[list[str]]:
    """The lines of the log, in columns, without the header."""
    header, *lines = farm.read("log")
    assert JOBLOG_HEADER.decode() == header + "\n"
    return [line.split("\t", 8) for line in lines]


def test_each_task_has_a_line_when_it_is_final(farm):
    """With its last attempt, whatever became of it; and the command as it was read."""
    lines = ["true", "exit 3", "kill -9 $$", "echo 'a\tb'"]

    cluster = farm.start_cluster(lines, "--joblog", "log", "-r", 1)

    assert 1 == cluster.wait(), cluster.err
    found = {row[8]: row[6:8] for row in rows(farm)}
    expected = [["0", "0"], ["3", "0"], ["0", "9"], ["0", "0"]]
    assert dict(zip(lines, expected, strict=True)) == found
    assert 4 == len(rows(farm))
    assert ["1", "2", "3", "4"] == sorted(row[0] for row in rows(farm))


def test_a_run_that_goes_on_appends_and_a_new_one_begins_anew(farm):
    """The header stands there once."""
    first = farm.start_cluster(["true", "exit 3"], "--joblog", "log")
    assert 1 == first.wait(), first.err

    again = farm.start("cluster", "--restart", "--joblog", "log")
    assert 1 == again.wait(), again.err
    after_restart = rows(farm)
    anew = farm.start_cluster(["true"], "--joblog", "log")

    assert 0 == anew.wait(), anew.err
    assert ["exit 3", "exit 3", "true"] == sorted(row[8] for row in after_restart)
    assert ["true"] == [row[8] for row in rows(farm)]


def test_a_log_that_cannot_be_written_costs_no_task(farm):
    """It is said, and the run finishes; its status tells of it."""
    cluster = farm.start_cluster(["echo >> ran"] * 5, "--joblog", "/dev/full")

    assert 1 == cluster.wait(), cluster.err
    assert 5 == len(farm.read("ran"))
    assert "cannot write /dev/full: no space left on device" in cluster.err
    assert "6 lines could not be written to /dev/full" in cluster.err


def test_a_log_that_cannot_be_opened_begins_no_run(farm):
    """What `--resume` goes on with is the run before, not one that never was."""
    first = farm.start_cluster(["true"], "--joblog", "log")
    assert 0 == first.wait(), first.err

    refused = farm.start_cluster(["true"], "--joblog", "nowhere/log")

    assert 3 == refused.wait(), refused.err
    (path,) = farm.folder.rglob("hyper-shell.db")
    with sqlite3.connect(path) as database:
        assert [(1,)] == database.execute("SELECT count(*) FROM runs").fetchall()
