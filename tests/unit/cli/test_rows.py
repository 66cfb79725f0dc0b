"""Tables as people read them: aligned, of bounded width, and nothing in them moves a cursor."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from hypershell.cli.output.rows import facts_text, write_facts, write_records, write_rows


def shown(capfdbinary: pytest.CaptureFixture[bytes]) -> list[str]:
    """The lines of standard output."""
    return capfdbinary.readouterr().out.decode().splitlines()


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a file, whatever runs the tests."""
    monkeypatch.setattr("os.isatty", lambda descriptor: False)


def test_columns_are_aligned_by_the_kind_of_their_field(capfdbinary: Any) -> None:
    """Numbers on the right, text on the left; what a task does not have is `-`."""
    write_rows("table", ["id", "state", "exit_status", "line"], [[[7, "failed", 3, b"a  b"]]])

    assert ["id  state   exit_status  line", " 7  failed            3  a  b"] == shown(capfdbinary)


def test_later_pages_have_the_widths_of_the_first_and_what_is_cut_is_marked(
    capfdbinary: Any,
) -> None:
    """One heading; text does not push what follows to the side, and no number is cut."""
    pages = [[[11, b"abcdef"]], [[12, b"abc"]], [[13, b"abcdefgh"]], [[12345, b"abc"]]]

    write_rows("table", ["id", "line"], pages)

    assert ["id  line", "11  abcdef", "12  abc", "13  abc...", "12345  abc"] == shown(capfdbinary)


def test_a_table_without_rows_is_its_heading(capfdbinary: Any) -> None:
    """With no page, and with none that has a row."""
    write_rows("table", ["id", "line"], [])

    assert ["id  line"] == shown(capfdbinary)


def test_control_characters_and_undecodable_bytes_are_neutralised(capfdbinary: Any) -> None:
    """In rows, facts and records alike: all of it may come from others."""
    write_rows("table", ["line"], [[[b"  a\x1b[2J\tb\xff\n"]]])
    write_facts([("host", "n\x1b[2J7")])
    write_records([{"host": "n\r7", "slots": 4}])

    assert [
        "line",
        "  a [2J b�",
        "host  n [2J7",
        "host  slots",
        "n 7       4",
    ] == shown(capfdbinary)


def test_a_terminal_shows_where_a_line_is_cut(
    capfdbinary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line does not wrap, and does not look whole."""
    monkeypatch.setattr("os.isatty", lambda descriptor: True)
    monkeypatch.setenv("COLUMNS", "12")

    write_rows("table", ["id", "line"], [[[1, b"abcdefgh"], [2, b"abcdefghi"]]])

    assert ["id  line", " 1  abcdefgh", " 2  abcde..."] == shown(capfdbinary)


def test_facts_are_shown_as_fields_of_their_name() -> None:
    """Sizes and durations with their units; a text stands as it is."""
    facts = [("memory", 4096), ("cpu", 90.0), ("started", "today"), ("exit_status", 3)]

    text = facts_text(facts, "  ")

    assert (
        "  memory       4KiB\n  cpu          1m30s\n  started      today\n  exit status  3\n"
    ) == text
    assert "" == facts_text([])


def test_a_long_list_is_in_memory_a_page_at_a_time(capfdbinary: Any) -> None:
    """Two hundred pages take no more than a few."""

    def pages(number: int) -> Iterator[list[list[Any]]]:
        for page in range(number):
            yield [[page * 20 + row, b"x" * 50] for row in range(20)]

    write_rows("table", ["id", "line"], pages(2))
    capfdbinary.readouterr()
    tracemalloc.start()
    write_rows("table", ["id", "line"], pages(200))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 4001 == len(shown(capfdbinary))
    assert peak < 500_000
