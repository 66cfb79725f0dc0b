"""What a run reads and writes."""

import os

import pytest

from hypershell.app.database import DatabaseOptions, is_named
from hypershell.app.server_inputs import InputOptions, open_input_and_sink
from hypershell.core import environment
from hypershell.core.errors import InputIsOutput, InputMissing
from hypershell.core.run_mode import RunMode


@pytest.fixture
def lines(tmp_path):
    """A file of lines."""
    path = tmp_path / "tasks.txt"
    path.write_text("true\n")
    return path


def test_a_run_without_an_input_opens_none():
    """It still may print failed lines."""
    reader, _ = open_input_and_sink(InputOptions(path=None))

    assert reader is None


def test_a_file_is_read(lines):
    """Line by line."""
    reader, _ = open_input_and_sink(InputOptions(path=str(lines)))

    assert reader is not None
    assert [(1, b"true")] == reader.read(None)


@pytest.mark.parametrize(("field", "option"), [("failures", "-f"), ("joblog", "--joblog")])
def test_the_file_that_is_read_is_not_written(lines, field, option):
    """By whatever name; the hint says which option to change, and no descriptor is left open."""
    link = lines.with_name("link")
    link.symlink_to(lines)
    before = set(os.listdir("/proc/self/fd"))

    with pytest.raises(InputIsOutput, match="is also the input file") as refused:
        open_input_and_sink(InputOptions(path=str(lines), **{field: str(link)}))

    assert (2, f"give {option} another path") == (refused.value.exit_code, refused.value.advice)
    assert before == set(os.listdir("/proc/self/fd"))
    assert "true\n" == lines.read_text()


def test_a_file_that_is_not_there_is_told(tmp_path):
    """By its path."""
    with pytest.raises(InputMissing, match="no-such"):
        open_input_and_sink(InputOptions(path=str(tmp_path / "no-such")))


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
