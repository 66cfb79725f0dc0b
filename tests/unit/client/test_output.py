"""What tasks print, on its way through the client."""

import contextlib
import fcntl
import os
import resource
import select
import socket
import tempfile
import threading

import pytest

from hypershell.client.tasks import target as target_module
from hypershell.client.tasks.output import MAX_IN_MEMORY, Output, Stream
from hypershell.client.tasks.target import Target, file_lock
from hypershell.core.unwritten import Unwritten
from tests.helpers.fakes import Call


@pytest.fixture
def file(tmp_path):
    """A file that is appended to, and its descriptor."""
    path = tmp_path / "printed"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield path, descriptor
    os.close(descriptor)


@pytest.fixture
def output(file):
    """Two slots that print to one file."""
    _, descriptor = file
    output = Output(descriptor, descriptor, 2, lambda: False)
    yield output
    output.close()


def print_to(output: Output, slot: int, data: bytes) -> None:
    """A task in a slot prints something that a pipe can hold."""
    os.write(output.ends(slot)[0], data)


def forward_all(output: Output) -> None:
    """What the executor does when pipes have something."""
    for descriptor in output.streams:
        if select.select([descriptor], [], [], 0)[0]:
            output.forward(descriptor)


def test_a_whole_line_is_passed_on_as_it_comes(output, file):
    """While its task runs on."""
    print_to(output, 1, b"one\n")

    forward_all(output)

    assert b"one\n" == file[0].read_bytes()


def test_a_line_that_is_not_finished_is_held_back(output, file):
    """The lines of others go by."""
    print_to(output, 1, b"begun")
    forward_all(output)
    print_to(output, 2, b"other\n")
    forward_all(output)
    print_to(output, 1, b" and ended\n")
    forward_all(output)

    assert b"other\nbegun and ended\n" == file[0].read_bytes()


def test_the_last_line_of_a_task_is_ended_for_it(output, file):
    """So that the first of the next one is a line of its own."""
    print_to(output, 1, b"no newline")
    forward_all(output)

    output.finish(1)

    assert b"no newline\n" == file[0].read_bytes()


def test_a_task_that_printed_whole_lines_is_given_no_more(output, file):
    """No line is made up."""
    print_to(output, 1, b"one\n\n")
    forward_all(output)

    output.finish(1)

    assert b"one\n\n" == file[0].read_bytes()


def test_bytes_are_passed_on_as_they_are(output, file):
    """NUL, carriage returns and what is no text."""
    data = bytes(range(256)) + b"\r\n"
    print_to(output, 1, data)
    forward_all(output)

    assert data == file[0].read_bytes()


def test_two_outputs_that_end_in_one_place_keep_their_order(output):
    """They are one pipe."""
    out, err = output.ends(1)

    assert out == err


def test_two_outputs_that_end_apart_are_kept_apart(tmp_path):
    """Each has a pipe of its own."""
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        output = Output(out.fileno(), err.fileno(), 1, lambda: False)

        assert 2 == len({os.fstat(end).st_ino for end in output.ends(1)})
        output.close()


def test_a_line_longer_than_is_held_in_memory_is_passed_on_whole(file):
    """It waits in a temporary file, and other lines go by."""
    path, descriptor = file
    output = Output(descriptor, descriptor, 2, lambda: False)
    length = 3 * MAX_IN_MEMORY
    for _ in range(0, length, 65536):
        print_to(output, 1, b"x" * 65536)
        forward_all(output)
        assert all(len(stream._held) <= MAX_IN_MEMORY for stream in output.streams.values())
    print_to(output, 2, b"other\n")
    forward_all(output)

    output.finish(1)

    assert b"other\n" + b"x" * length + b"\n" == path.read_bytes()
    output.close()


def test_a_line_for_which_there_is_no_room_is_torn_and_not_lost(monkeypatch, tmp_path):
    """Every byte arrives, once and in order, though the temporary file cannot be written."""
    read_end, write_end = os.pipe()
    stream = Stream(Target(write_end, lambda: False))
    length = 3 * MAX_IN_MEMORY
    data = b"".join(b"%08d" % n for n in range(length // 8))
    reader = Call(read_exactly, read_end, 10 * length)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_IN_MEMORY * 3 // 2, limit[1]))
    try:
        for begin in range(0, length, 65536):
            os.write(stream.write_end, data[begin : begin + 65536])
            stream.forward()
        stream.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        os.close(write_end)

    printed = reader.result()

    assert data + b"\n" == printed
    os.close(read_end)


def read_exactly(descriptor: int, count: int) -> bytes:
    """So many bytes of a pipe, or fewer at its end."""
    data = b""
    while len(data) < count and (piece := os.read(descriptor, 65536)):
        data += piece
    return data


def test_lines_are_not_torn_by_another_client_on_the_same_pipe():
    """Each write is of whole lines, where they are short enough to be written in one piece."""
    # A socket that keeps apart what was written apart.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lines = b"".join(b"%0*d\n" % (size, size) for size in (900, 1900, 2900, 3900))

    with ours, theirs:
        Target(theirs.fileno(), lambda: False).write(lines)
        theirs.shutdown(socket.SHUT_WR)
        pieces = list(iter(lambda: ours.recv(65536), b""))

    assert lines == b"".join(pieces)
    assert all(piece.endswith(b"\n") for piece in pieces)


def test_a_slow_reader_gets_all_of_it():
    """It is waited for."""
    read_end, write_end = os.pipe()
    lines = b"".join(b"line %d\n" % n for n in range(50_000))

    writing = Call(Target(write_end, lambda: False).write, lines)
    printed = read_exactly(read_end, len(lines))
    writing.result()

    assert lines == printed
    os.close(read_end)
    os.close(write_end)


def test_a_reader_that_does_not_read_is_not_waited_for_in_the_end():
    """Once tasks are being stopped, what it does not take is dropped."""
    read_end, write_end = os.pipe()

    Call(Target(write_end, lambda: True).write, b"x" * 200_000).result()

    os.close(read_end)
    os.close(write_end)


def test_a_reader_that_has_gone_is_no_error(file):
    """What it does not want is dropped; nothing is said."""
    read_end, write_end = os.pipe()
    output = Output(write_end, write_end, 1, lambda: False)
    os.close(read_end)
    print_to(output, 1, b"unwanted\n")
    forward_all(output)

    output.finish(1)

    output.retry()
    assert output.unwritten is None
    output.close()
    os.close(write_end)


def test_what_a_full_disk_does_not_take_is_counted():
    """It stops nothing; how much it is, and why, can be asked for."""
    with open("/dev/full", "wb") as full:
        output = Output(full.fileno(), full.fileno(), 1, lambda: False)
        for _ in range(2):
            print_to(output, 1, b"lost\nand more")
            forward_all(output)
            output.finish(1)

        assert output.has_failed()
        assert Unwritten(4, 28, "no space left on device", True) == output.finish_writing()
        output.close()


def test_what_was_not_written_for_a_while_is_written_in_its_order(file):
    """Nothing is missing once there is room, though it was printed while there was none."""
    path, descriptor = file
    target = Target(descriptor, lambda: False)
    with no_room():
        target.write(b"one\n")
        target.write(b"two\n")
        assert target.unwritten() == Unwritten(2, 8, "file too large")

    target.write(b"three\n")
    target.try_again()

    assert b"one\ntwo\nthree\n" == path.read_bytes()
    assert target.unwritten() is None


def test_only_so_much_is_kept_to_be_written_later(file, monkeypatch):
    """What is more than that is lost, and counted."""
    path, descriptor = file
    monkeypatch.setattr(target_module, "MAX_KEPT", 10)
    target = Target(descriptor, lambda: False)
    with no_room():
        for _ in range(4):
            target.write(b"line\n")

    target.try_again()

    assert b"line\nline\n" == path.read_bytes()
    assert Unwritten(2, 10, "there was no room to keep it") == target.unwritten()


def test_half_a_line_is_taken_back_where_others_write_as_well(file):
    """Theirs would be in the middle of it."""
    path, descriptor = file
    target = Target(descriptor, lambda: False, file_lock(descriptor))
    with no_room(12):
        target.write(b"first\nsecond\n")
        torn = path.read_bytes()

    target.try_again()

    assert b"first\n" == torn
    assert b"first\nsecond\n" == path.read_bytes()


def test_a_lock_that_another_client_has_is_waited_for(file):
    """Not with a call that would keep the executor from stopping its tasks."""
    path, descriptor = file
    other = os.open(path, os.O_WRONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    stopping = threading.Event()
    writing = Call(Target(descriptor, stopping.is_set, file_lock(descriptor)).write, b"line\n")

    waits = not writing.is_over(0.05)
    fcntl.flock(other, fcntl.LOCK_UN)
    writing.result()

    assert waits
    assert b"line\n" == path.read_bytes()
    os.close(other)


def test_a_lock_is_not_waited_for_once_tasks_are_stopped(file):
    """Whoever has it may be stopped itself."""
    path, descriptor = file
    other = os.open(path, os.O_WRONLY)
    fcntl.flock(other, fcntl.LOCK_EX)

    Call(Target(descriptor, lambda: True, file_lock(descriptor)).write, b"line\n").result()

    assert b"line\n" == path.read_bytes()
    os.close(other)


@contextlib.contextmanager
def no_room(size: int = 0):
    """No file can grow beyond this."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


class Prompter:
    """Takes what is printed, and each time something more is printed at once, for a long time."""

    def __init__(self) -> None:
        self.lines = 0
        self.stream: Stream | None = None

    def write(self, data: bytes) -> None:
        """Take some lines and have another one printed."""
        self.lines += data.count(b"\n")
        if self.lines < 1000 and self.stream is not None:
            os.write(self.stream.write_end, b"more\n")


def test_a_child_that_was_left_behind_and_prints_does_not_keep_the_slot():
    """The end of a task is what was there when it ended; the executor has others to look after."""
    target = Prompter()
    stream = target.stream = Stream(target)
    os.write(stream.write_end, b"last words\n")

    stream.finish()

    assert target.lines < 100
    stream.close()


def test_every_slot_costs_two_descriptors_a_pipe_and_no_file(tmp_path):
    """Whatever its tasks print."""
    with (tmp_path / "out").open("wb") as out:
        before = len(os.listdir("/proc/self/fd"))
        output = Output(out.fileno(), out.fileno(), 10, lambda: False)
        after = len(os.listdir("/proc/self/fd"))
        output.close()

        assert 20 == after - before
        assert before == len(os.listdir("/proc/self/fd"))
