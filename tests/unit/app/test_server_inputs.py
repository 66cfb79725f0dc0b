"""What a run reads and writes."""

import contextlib
import itertools
import os
import sqlite3

import pytest

from hypershell.app.database import DatabaseOptions, is_named
from hypershell.app.named_files import check_files
from hypershell.app.server_inputs import InputOptions, open_input_and_sink
from hypershell.core import environment
from hypershell.core.errors import (
    FileNotOurs,
    FileRefused,
    InputIsOutput,
    InputMissing,
    OutputsMixed,
)
from hypershell.core.joblog import JOBLOG_HEADER
from hypershell.core.run_mode import RunMode
from hypershell.runtime import threads
from hypershell.server.input.sources import InputSource
from hypershell.serverdir.written_files import WrittenFiles


@pytest.fixture
def lines(tmp_path):
    """A file of lines."""
    path = tmp_path / "tasks.txt"
    path.write_text("true\n")
    return path


@pytest.fixture
def known(tmp_path):
    """The records of a server directory."""
    return WrittenFiles(tmp_path)


def opened(known: WrittenFiles, goes_on: bool = False, **options: object):
    """What a run with these options reads and writes."""
    path = options.pop("path", None)
    source = None if path is None else InputSource((str(path),))
    return open_input_and_sink(InputOptions(source, **options), lambda: known, goes_on)


def write(known: WrittenFiles, path, data: bytes, **options: object) -> None:
    """A run writes this to the file of `-f`, and ends."""
    _, sink = opened(known, path=None, failures=str(path), **options)
    sink.cut(0)
    sink.write(data, threads.event())
    sink.close()


def test_an_output_that_is_a_pipe_is_not_opened_to_look_into_it(tmp_path):
    """Nobody writes to it yet, so that would take for ever; nor does a name that cannot be."""
    os.mkfifo(tmp_path / "pipe")

    check_files([("-o", str(tmp_path / "pipe")), ("-e", "no\0file")])


def test_an_output_that_is_a_database_is_refused(tmp_path):
    """Whichever option names it: lines in it would damage what it keeps."""
    path = tmp_path / "tasks.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE task (id INTEGER)")

    for option in ("-f", "--joblog", "-o", "-e", "--log-file"):
        with pytest.raises(FileRefused) as refused:
            check_files([(option, str(path))])
        assert f"{path} is an SQLite database" == str(refused.value)


def test_a_run_without_an_input_opens_none(known):
    """It still may print failed lines."""
    reader, _ = opened(known, path=None)

    assert reader is None


def test_a_file_is_read(known, lines):
    """Line by line."""
    reader, _ = opened(known, path=str(lines))

    assert reader is not None
    assert [(1, b"true")] == reader.read(None)


def test_a_file_that_is_not_there_is_told(known, tmp_path):
    """By its path."""
    with pytest.raises(InputMissing, match="no-such"):
        opened(known, path=str(tmp_path / "no-such"))


def test_a_file_that_no_run_wrote_is_not_for_failed_lines(known, lines):
    """FILE was forgotten, or an option mistyped: nothing is lost, and no descriptor left open."""
    before = set(os.listdir("/proc/self/fd"))

    with pytest.raises(
        FileNotOurs, match=r"tasks.txt is not empty, and was not written by -f"
    ) as no:
        opened(known, path="-", failures=str(lines))

    assert 3 == no.value.exit_code
    assert "--overwrite" in no.value.advice
    assert "true\n" == lines.read_text()
    assert before == set(os.listdir("/proc/self/fd"))


def test_a_file_that_a_run_wrote_is_taken_again(known, tmp_path):
    """And is not touched by opening it."""
    write(known, tmp_path / "failed", b"false\n")

    _, sink = opened(known, path=None, failures=str(tmp_path / "failed"))

    assert b"false\n" == (tmp_path / "failed").read_bytes()
    sink.cut(0)
    assert b"" == (tmp_path / "failed").read_bytes()
    sink.close()


@pytest.mark.parametrize("change", ["longer", "another", "record"])
def test_a_file_that_was_changed_since_is_not_ours_any_more(known, tmp_path, change):
    """Somebody added to it, put another in its place, or what is known of it is damaged."""
    path = tmp_path / "failed"
    write(known, path, b"false\n")
    match change:
        case "longer":
            path.write_bytes(b"false\nmine\n")
        case "another":
            (tmp_path / "other").write_bytes(b"mine\n")
            (tmp_path / "other").rename(path)
        case "record":
            (record,) = (tmp_path / "written").iterdir()
            record.write_bytes(b"{")
    before = path.read_bytes()

    with pytest.raises(FileNotOurs):
        opened(known, path=None, failures=str(path))

    assert before == path.read_bytes()


def test_a_file_is_ours_after_a_crash(known, tmp_path):
    """Its length is noted before it grows."""
    path = tmp_path / "failed"
    crashing = os.fork()
    if crashing == 0:
        _, sink = opened(known, path=None, failures=str(path))
        sink.cut(0)
        sink.write(b"false\n", threads.event())
        os._exit(0)
    os.waitpid(crashing, 0)

    opened(known, path=None, failures=str(path))[1].close()

    assert b"false\n" == path.read_bytes()


def test_overwrite_takes_any_file(known, lines):
    """Which is ours from the moment in which it is emptied."""
    write(known, lines, b"false\n", overwrite=True)

    opened(known, path=None, failures=str(lines))[1].close()

    assert b"false\n" == lines.read_bytes()


def test_a_run_that_goes_on_adds_to_a_file_of_others(known, lines):
    """Nothing of it is lost; but it does not become ours."""
    _, sink = opened(known, goes_on=True, path=None, failures=str(lines))
    sink.cut(5)
    sink.write(b"false\n", threads.event())
    sink.close()

    with pytest.raises(FileNotOurs):
        opened(known, path=None, failures=str(lines))

    assert b"true\nfalse\n" == lines.read_bytes()


def test_without_a_server_directory_every_file_is_foreign(tmp_path):
    """There is no place where it could be known."""
    write(WrittenFiles(None), tmp_path / "failed", b"false\n")

    with pytest.raises(FileNotOurs):
        opened(WrittenFiles(None), path=None, failures=str(tmp_path / "failed"))


def test_devices_and_pipes_are_nobodys(known):
    """They have no content."""
    for path in ("/dev/null", "/dev/full"):
        opened(known, path=None, failures=path, joblog=path)[1].close()


def test_a_job_log_takes_the_place_of_a_job_log_alone(known, lines):
    """It is known by its first line."""
    with pytest.raises(FileNotOurs, match="is not a job log"):
        opened(known, path=None, joblog=str(lines))
    opened(known, path=None, joblog=str(lines), overwrite=True)

    lines.write_bytes(JOBLOG_HEADER + b"1\n")
    opened(known, path=None, joblog=str(lines))


OPTIONS = ("-f", "--joblog", "-o", "-e", "--log-file")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("way", ["path", "link", "hard link"])
def test_the_file_that_is_read_is_not_written(lines, option, way):
    """By whatever name; the hint says which option to change."""
    name = lines.with_name("other")
    match way:
        case "path":
            name = lines
        case "link":
            name.symlink_to(lines)
        case _:
            name.hardlink_to(lines)

    with pytest.raises(InputIsOutput, match="is also the input file") as refused:
        check_files([(option, str(name))], [str(lines)])

    assert (2, f"give {option} another path") == (refused.value.exit_code, refused.value.advice)


@pytest.mark.parametrize("descriptor", [1, 2])
def test_the_file_that_is_read_is_not_our_own_output(lines, descriptor):
    """`cluster tasks.txt >> tasks.txt` would run what it prints."""
    before = os.dup(descriptor)
    with lines.open("ab") as file:
        os.dup2(file.fileno(), descriptor)
    try:
        with pytest.raises(InputIsOutput, match="standard"):
            check_files([], [str(lines)])
    finally:
        os.dup2(before, descriptor)
        os.close(before)


@pytest.mark.parametrize("options", [*itertools.combinations(OPTIONS, 2)], ids=" ".join)
@pytest.mark.parametrize("exists", [True, False])
def test_no_two_outputs_share_a_file(tmp_path, options, exists):
    """Whether it is there already or not."""
    path = tmp_path / "out"
    if exists:
        path.touch()
    names = (str(path), f"{tmp_path}/./out")

    with pytest.raises(OutputsMixed) as refused:
        check_files(zip(options, names, strict=True))

    assert 2 == refused.value.exit_code
    assert all(option in str(refused.value) for option in options)


def test_outputs_may_share_a_device():
    """Such as /dev/null."""
    check_files([(option, "/dev/null") for option in OPTIONS], "/dev/null")


@pytest.mark.parametrize(
    ("options", "server_dir", "variable", "named"),
    [
        (DatabaseOptions(), None, None, False),
        (DatabaseOptions(mode=RunMode.FOREVER), None, None, False),
        (DatabaseOptions(), "/farm", None, True),
        (DatabaseOptions(url="x.db"), None, None, True),
        (DatabaseOptions(mode=RunMode.RESUME), None, None, True),
        (DatabaseOptions(mode=RunMode.RESTART), None, None, True),
        (DatabaseOptions(), None, environment.SERVER_DIR, True),
        (DatabaseOptions(), None, environment.DATABASE, True),
    ],
)
def test_a_run_that_was_told_where_to_keep_its_tasks_keeps_them_nowhere_else(
    monkeypatch, options, server_dir, variable, named
):
    """By an option or in the environment; one that goes on with tasks needs those."""
    for name in (environment.SERVER_DIR, environment.DATABASE):
        monkeypatch.setenv(name, "/somewhere" if name == variable else "")

    assert named == is_named(options, server_dir)
