"""Messages for a reader that has stopped reading."""

import os
import select

import pytest

from hypershell.cli.output.stderr import MAX_KEPT, UnblockedWriter


@pytest.fixture
def pipe():
    """A pipe that is full, and how many bytes are in it."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    full = 0
    while select.select([], [write_end], [], 0)[1]:
        full += os.write(write_end, b"." * 4096)
    os.set_blocking(write_end, True)
    yield read_end, write_end, full
    os.close(read_end)
    os.close(write_end)


def read_all(descriptor: int, length: int) -> bytes:
    """Read so many bytes."""
    data = b""
    while len(data) < length:
        data += os.read(descriptor, length - len(data))
    return data


def test_who_logs_does_not_wait_for_a_reader_that_has_stopped(pipe):
    """It has every message, in order, once it goes on."""
    read_end, write_end, full = pipe
    writer = UnblockedWriter(write_end)

    for number in range(3):
        writer.write(b"message %d\n" % number)
    writer.finish(patient=False)

    assert read_all(read_end, full) == b"." * full
    assert b"message 0\nmessage 1\nmessage 2\n" == read_all(read_end, 30)
    writer.write(b"last\n")
    writer.finish(patient=False)
    assert b"last\n" == os.read(read_end, 100)


def test_messages_that_nobody_reads_are_counted(pipe):
    """They are kept within bounds."""
    read_end, write_end, full = pipe
    writer = UnblockedWriter(write_end)

    for _ in range(MAX_KEPT // 1000 + 5):
        writer.write(b"x" * 999 + b"\n")
    read_all(read_end, full + MAX_KEPT // 1000 * 1000)
    said = read_all(read_end, 52)

    assert said == b"hyper-shell: 5 messages not shown: nobody read them\n"


def test_a_reader_that_has_gone_takes_what_was_kept_with_it():
    """It is an error for who writes next, as always."""
    read_end, new_end = os.pipe()
    writer = UnblockedWriter(new_end)
    writer.write(b"y" * 2**20)

    os.close(read_end)
    writer.finish(patient=True)

    with pytest.raises(BrokenPipeError):
        writer.write(b"more")
    os.close(new_end)
