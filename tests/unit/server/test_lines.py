"""Lines as they are read: from files, pipes, and what cannot be read."""

import os
import time

import pytest

from hypershell.core.errors import InputDamaged, InputMissing, InputUnreadable
from hypershell.server.input import lines as lines_module
from hypershell.server.input.lines import LineReader, open_input
from tests.helpers.fakes import Call


@pytest.fixture
def pipe():
    """A reader on a pipe, and the end to write to."""
    read_end, write_end = os.pipe()
    reader = LineReader(read_end, "-")
    yield reader, write_end
    reader.close()
    os.close(write_end)


@pytest.fixture
def longest_line(monkeypatch):
    """A limit that is reached sooner."""
    monkeypatch.setattr(lines_module, "MAX_LINE", 200_000)
    return 200_000


def read_all(path) -> tuple[list[tuple[int, bytes]], LineReader]:
    """All lines of a file, and its reader."""
    reader = LineReader(open_input(str(path)), str(path))
    lines = []
    while not reader.ended:
        lines += reader.read(None)
    reader.close()
    return lines, reader


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"\n", [b""]),
        (b"\xff\xfe\n", [b"\xff\xfe"]),
        (b"x" * 1_000_000 + b"\ny", [b"x" * 1_000_000, b"y"]),
    ],
)
def test_a_file_is_read_line_by_line(tmp_path, content, lines):
    """Whatever is in them, with or without a last newline."""
    path = tmp_path / "tasks"
    path.write_bytes(content)

    numbered, reader = read_all(path)

    assert list(enumerate(lines, 1)) == numbered
    assert reader.error is None


def test_a_nul_byte_ends_the_input_at_its_line(tmp_path):
    """Named by its number; the lines before it are good."""
    path = tmp_path / "tasks"
    path.write_bytes(b"a\nb\0c\nd\n")

    lines, reader = read_all(path)

    assert [(1, b"a")] == lines
    assert isinstance(reader.error, InputDamaged)
    assert "line 2: it contains a NUL byte" in str(reader.error)


@pytest.mark.parametrize("end", [b"", b"\n", b"\nb"])
def test_a_line_that_could_not_travel_ends_the_input(tmp_path, longest_line, end):
    """With or without an end of its own."""
    path = tmp_path / "tasks"
    path.write_bytes(b"a\n" + b"x" * (longest_line + 1) + end)

    lines, reader = read_all(path)

    assert [(1, b"a")] == lines
    assert "line 2: it is longer" in str(reader.error)


def test_a_line_without_end_is_not_gathered_for_ever(longest_line):
    """What has no newline, as a device may, takes no more memory than the longest line."""
    reader = LineReader(open_input("/dev/zero"), "/dev/zero")
    while not reader.ended:
        reader.read(None)

    assert len(reader._rest) <= longest_line + 65536
    assert reader.error is not None
    reader.close()


def test_a_line_that_is_not_finished_is_waited_for(pipe):
    """It may go on."""
    reader, write_end = pipe
    os.write(write_end, b"a\nb")

    assert [(1, b"a")] == reader.read(None)
    assert [] == reader.read(0)
    os.write(write_end, b"c\n")
    assert [(2, b"bc")] == reader.read(None)


def test_a_read_waits_no_longer_than_it_is_told(pipe):
    """And nothing has ended by that."""
    reader, _ = pipe
    begin = time.monotonic()

    assert [] == reader.read(0.05)
    assert 0.04 < time.monotonic() - begin < 2.0
    assert not reader.ended


def test_a_wake_ends_a_read(pipe):
    """From another thread or a signal handler; once."""
    reader, _ = pipe
    reading = Call(reader.read, None)
    assert not reading.is_over(0.02)

    reader.wake()

    assert [] == reading.result()
    assert not reader.ended
    assert not Call(reader.read, 0.05).result()


def test_many_wakes_are_one(pipe):
    """The pipe that they go through may fill up."""
    reader, _ = pipe
    for _ in range(100_000):
        reader.wake()

    reader.read(0)
    while reader.read(0):
        pass

    assert not reader.ended


def test_a_missing_file_is_told_apart():
    """By its path."""
    with pytest.raises(InputMissing, match="/no/such/file"):
        open_input("/no/such/file")


@pytest.mark.parametrize("path", ["/", "/dev/tty0/x", "a\0b"])
def test_what_cannot_be_read_is_told(path):
    """A directory, a path through a file, a name that cannot be one."""
    with pytest.raises((InputUnreadable, InputMissing)):
        os.close(open_input(path))


def test_an_error_in_the_middle_ends_the_input():
    """Such as a disk that fails; here a descriptor that is for writing."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    reader = LineReader(descriptor, "tasks")

    assert [] == reader.read(None)
    assert isinstance(reader.error, InputUnreadable)
    assert reader.ended
    reader.close()


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\r\nb\r", [b"a", b"b"]),
        (b"a\nb\r\nc\n", [b"a", b"b", b"c"]),
        (b"a\r\r\n", [b"a"]),
        (b"a\rb\r\n", [b"a\rb"]),
        (b"a\rb\n", [b"a\rb"]),
        (MARK + b"a\nb\n", [b"a", b"b"]),
        (MARK + b"a\r\n" + MARK + b"b\r\n", [b"a", b"b"]),
        (b"a" + MARK + b"b\n", [b"a" + MARK + b"b"]),
        (MARK, [b""]),
        (b"\r\n\r\n", [b"", b""]),
        ("é\n".encode(), ["é".encode()]),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_what_windows_adds_to_lines_is_taken_off(tmp_path, monkeypatch, content, lines, chunk):
    """In each line alone, however the bytes come; what is inside a line stays."""
    monkeypatch.setattr(lines_module, "_CHUNK", chunk)
    path = tmp_path / "tasks.txt"
    path.write_bytes(content)

    found, _ = read_all(path)

    assert list(enumerate(lines, 1)) == found


def test_what_was_taken_off_is_said_once(tmp_path):
    """Each kind of it, with the name of the file."""
    path = tmp_path / "tasks.txt"
    path.write_bytes(MARK + b"a\r\nb\r\n" * 50_000)
    said: list[str] = []

    reader = LineReader(open_input(str(path)), "tasks.txt", said.append)
    while not reader.ended:
        reader.read(None)
    reader.close()

    assert ["ignoring a byte order mark and Windows line ends (CR LF) in tasks.txt"] == said


def test_nothing_is_said_of_a_list_that_has_none_of_it(tmp_path, caplog):
    """Carriage returns inside lines are not line ends."""
    path = tmp_path / "tasks.txt"
    path.write_bytes(b"printf 'a\rb'\n\xc3\xaf\n")

    read_all(path)

    assert [] == caplog.messages


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_list_in_utf_16_is_named_as_such(tmp_path, encoding):
    """As some programs of Windows write it."""
    path = tmp_path / "tasks.txt"
    path.write_bytes("\ufeffecho a\r\necho b\r\n".encode(encoding))

    found, reader = read_all(path)

    assert [] == found
    assert "line 1: it is UTF-16, not UTF-8" in str(reader.error)
