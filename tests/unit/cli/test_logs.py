"""What is said, for people or for programs."""

import contextlib
import json
import logging
import sys

import pytest

from hypershell.cli.output.logs import HumanFormatter, JsonFormatter, LogOptions, set_up
from hypershell.core.errors import FileUnwritable


def record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    """Something that is said."""
    return logging.LogRecord("hypershell", level, "", 0, message, (), None)


@pytest.fixture
def set_up_for(monkeypatch):
    """Set up logging by options; all is as before afterwards."""
    logger = logging.getLogger("hypershell")
    before = logger.handlers, logger.propagate, logger.level

    def configure(path: str | None = None, level: int = logging.INFO) -> logging.Logger:
        set_up(LogOptions("client", path=path, level=level))
        return logger

    yield configure
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers, logger.propagate = before[0], before[1]
    logger.setLevel(before[2])


def test_a_line_for_people_has_the_level_only_where_it_matters():
    """Who speaks is always there."""
    form = HumanFormatter("client")

    assert form.format(record("joined")).endswith(" client: joined")
    assert form.format(record("lost", logging.WARNING)).endswith(" client: warning: lost")


def test_a_line_for_programs_is_json():
    """One object a line, whatever is in it."""
    line = JsonFormatter("client").format(record('a "quoted"\nline \udcff'))

    assert "\n" not in line
    fields = json.loads(line)
    assert ("client", "info", 'a "quoted"\nline \udcff') == (
        fields["verb"],
        fields["level"],
        fields["message"],
    )
    assert fields["time"].endswith("Z")


def test_a_log_file_is_appended_to(set_up_for, tmp_path):
    """An earlier run's words stay."""
    path = tmp_path / "log"
    path.write_text("before\n")

    set_up_for(path=str(path)).warning("now")

    assert path.read_text().startswith("before\n")
    assert path.read_text().endswith("now\n")


def test_a_log_file_that_cannot_be_written_is_told(set_up_for):
    """At the start."""
    with pytest.raises(FileUnwritable, match="/no/such/folder/log"):
        set_up_for(path="/no/such/folder/log")


def test_a_name_of_no_encoding_can_be_said(set_up_for, tmp_path):
    """A path may be any bytes; the line is not lost for it."""
    path = tmp_path / "log"

    set_up_for(path=str(path)).warning("cannot read %s", "tasks\udcff")

    assert "cannot read tasks" in path.read_text()


def test_a_standard_error_that_is_full_makes_no_noise(set_up_for, monkeypatch, capfd):
    """There is nowhere left to complain."""
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        logger = set_up_for()

        logger.warning("lost")

        logger.handlers = []
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert "" == capfd.readouterr().err


def test_no_traceback_is_shown_unless_every_detail_was_asked_for(set_up_for, tmp_path):
    """People get a line."""
    for name, level in (("short", logging.INFO), ("long", logging.DEBUG)):
        logger = set_up_for(path=str(tmp_path / name), level=level)
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("failed", exc_info=sys.exc_info())

    assert "Traceback" not in (tmp_path / "short").read_text()
    assert "Traceback" in (tmp_path / "long").read_text()


def test_a_log_that_cannot_be_written_goes_on_at_standard_error(set_up_for, capfd):
    """Said once; no record is lost."""
    logger = set_up_for(path="/dev/full")

    for n in range(2):
        logger.warning("record %d", n)

    said = capfd.readouterr().err.splitlines()
    assert (
        "hyper-shell: cannot write the log to /dev/full: no space left on device; it continues here"
    ) == said[0]
    assert ["record 0", "record 1"] == [line[-8:] for line in said[1:]]
