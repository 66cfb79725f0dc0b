"""Failed lines on their way out: byte for byte, once each, whatever the reader does."""

import os
import resource
import select
import socket
import subprocess
import time

import pytest

from hypershell.core.ending import Ending
from hypershell.core.errors import FileUnwritable, InputMissing
from hypershell.core.outcome import Outcome
from hypershell.core.state import TaskState
from hypershell.core.task import new_task
from hypershell.server.events import EventBus, InputEnded, TasksAdded
from hypershell.server.reports import spool as spool_module
from hypershell.server.reports.failures import Failures
from hypershell.server.reports.sink import LineSink, open_sink
from hypershell.store.tasks.journal import Recorded
from tests.helpers.components import lacks
from tests.helpers.fakes import Call
from tests.helpers.waiting import until


def failed(*lines: bytes) -> list[Recorded]:
    """Tasks of these lines that have finally failed."""
    return [
        Recorded(new_task(line, n, n), TaskState.FAILED, Outcome(n, 1, Ending.EXITED, 1))
        for n, line in enumerate(lines, 1)
    ]


def write_and_close(failures: Failures, *lines: bytes) -> int:
    """All that a run does with failed lines; how many were not written."""
    failures.put(failed(*lines))
    failures.close(patient=True)
    while failures.one_pass():
        pass
    return failures.finish()


@pytest.fixture
def pipe():
    """A pipe that is small."""
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for descriptor in (read_end, write_end):
        try:
            os.close(descriptor)
        except OSError:
            pass


def writable(descriptor: int) -> bool:
    """Whether a write would not block."""
    return bool(select.select([], [descriptor], [], 0)[1])


def read_all(descriptor: int) -> bytes:
    """All of a pipe to its end."""
    return b"".join(iter(lambda: os.read(descriptor, 65536), b""))


def test_lines_are_written_as_they_were_read(tmp_path):
    """Byte for byte, each with a newline."""
    sink = open_sink(str(tmp_path / "failed"), to_stdout=False)

    missing = write_and_close(Failures(sink), b" false # x", b"\xff\r", b"x" * 1_000_000)

    assert 0 == missing
    assert b" false # x\n\xff\r\n" + b"x" * 1_000_000 + b"\n" == (tmp_path / "failed").read_bytes()


def test_a_line_is_there_as_soon_as_its_task_has_failed(tmp_path):
    """Not when the run ends."""
    failures = Failures(open_sink(str(tmp_path / "failed"), to_stdout=False))
    failures.put(failed(b"false"))

    failures.one_pass()

    assert b"false\n" == (tmp_path / "failed").read_bytes()


def test_a_pass_waits_for_lines():
    """And ends when it is told that none will come."""
    failures = Failures(LineSink(None, ""))
    passing = Call(failures.one_pass)
    assert not passing.is_over(0.02)

    failures.close(patient=True)

    assert not passing.result()
    assert 0 == failures.finish()


@pytest.fixture
def old_file(tmp_path):
    """A file in which an earlier run wrote a line."""
    path = tmp_path / "failed"
    path.write_bytes(b"old\n")
    return path


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], b"old\n"),
        ([InputEnded(InputMissing(path="x"))], b"old\n"),
        ([InputEnded(None)], b""),
        ([TasksAdded(1)], b""),
        ([TasksAdded(1), InputEnded(InputMissing(path="x"))], b""),
    ],
)
def test_a_file_is_emptied_once_something_was_read_and_not_before(old_file, events, left):
    """A run that never had a line must not cost the lines of the one before."""
    bus = EventBus()
    failures = Failures(open_sink(str(old_file), to_stdout=False))
    failures.subscribe(bus)
    failures.begin(lambda *facts: 0)

    for event in events:
        bus.publish(type(event), *event)
    failures.close(patient=True)
    while failures.one_pass():
        pass

    assert 0 == failures.finish()
    assert left == old_file.read_bytes()


def test_a_file_is_emptied_once(old_file):
    """However many say so, and though a line is there before it is said that there are any."""
    failures = Failures(open_sink(str(old_file), to_stdout=False))
    failures.put(failed(b"first"))
    failures.one_pass()
    failures.have_prepared()

    assert 0 == write_and_close(failures, b"second")

    assert b"first\nsecond\n" == old_file.read_bytes()


@pytest.mark.parametrize("path", ["/no/such/folder/x", "/", "", "a\0b"])
def test_a_file_that_cannot_be_made_is_told_at_the_start(path):
    """Not when the first task has failed."""
    with pytest.raises(FileUnwritable):
        open_sink(path, to_stdout=False)


def test_a_full_device_is_told_and_counted(caplog, monkeypatch):
    """Once while it is tried again, and in the end how many lines are missing."""
    monkeypatch.setattr(spool_module, "_RETRY_SECONDS", 0.05)
    failures = Failures(open_sink("/dev/full", to_stdout=False))
    failures.put(failed(b"a", b"b"))
    for _ in range(2):
        failures.one_pass()

    failures.close(patient=True)
    failures.one_pass()

    assert 2 == failures.finish()
    assert 1 == caplog.text.count("no space left on device")
    assert "2 failed lines could not be written to /dev/full" in caplog.text


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        lacks("only root can mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        lacks("a small file system cannot be mounted here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_holds_whole_lines_alone(small_disk):
    """Half of one would be taken for another task; what is missing is counted."""
    lines = [b"%05d" % n + b"x" * 995 for n in range(100)]
    failures = Failures(open_sink(str(small_disk / "failed"), to_stdout=False))

    missing = write_and_close(failures, *lines)

    written = (small_disk / "failed").read_bytes().split(b"\n")
    assert b"" == written.pop()
    assert 0 < len(written) < 100
    assert lines[: len(written)] == written
    assert 100 - len(written) == missing


def test_a_disk_that_has_room_again_gets_all_lines(small_disk):
    """In order, and each once."""
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 30_000)
    lines = [b"%05d" % n + b"x" * 995 for n in range(50)]
    failures = Failures(open_sink(str(small_disk / "failed"), to_stdout=False))
    failures.put(failed(*lines))
    failures.one_pass()
    before = len((small_disk / "failed").read_bytes().splitlines())

    filler.unlink()
    missing = write_and_close(failures)

    assert before < 50
    assert 0 == missing
    assert lines == (small_disk / "failed").read_bytes().splitlines()


def test_a_file_that_may_not_grow_is_the_same(tmp_path):
    """A limit instead of a disk; no mount is needed for it."""
    lines = [b"%05d" % n + b"x" * 995 for n in range(100)]
    failures = Failures(open_sink(str(tmp_path / "failed"), to_stdout=False))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_500, limit[1]))
    try:
        missing = write_and_close(failures, *lines)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert lines[: 100 - missing] == (tmp_path / "failed").read_bytes().splitlines()
    assert 40 == 100 - missing


def test_a_reader_that_has_gone_is_no_failure(pipe):
    """It has seen what it wanted: `head` ends like that."""
    read_end, write_end = pipe
    os.close(read_end)

    assert 0 == write_and_close(Failures(LineSink(write_end, "standard output")), b"a", b"b")


def test_a_slow_reader_is_waited_for(pipe):
    """However much there is to read."""
    read_end, write_end = pipe
    lines = [b"%05d" % n + b"x" * 995 for n in range(500)]
    writing = Call(write_and_close, Failures(LineSink(write_end, "out")), *lines)
    assert not writing.is_over(0.05)

    first = os.read(read_end, 65536)
    reading = Call(read_all, read_end)
    missing = writing.result()
    os.close(write_end)

    assert 0 == missing
    assert b"".join(line + b"\n" for line in lines) == first + reading.result()


def test_who_gives_lines_does_not_wait_for_a_slow_reader(pipe):
    """The receiver has others to look after; how much is pending can be asked."""
    _, write_end = pipe
    failures = Failures(LineSink(write_end, "out"))
    failures.put(failed(b"x" * 200_000))
    passing = Call(failures.one_pass)
    until(lambda: not writable(write_end), 5.0, "the pipe is full")

    failures.put(failed(b"y", b"z"))

    assert (3, 200_001 + 2 + 2) == failures.pending()
    failures.close(patient=False)
    passing.result()


def test_a_reader_that_never_reads_is_left_in_the_end(pipe):
    """When the run must end; what it did not take is counted."""
    _, write_end = pipe
    failures = Failures(LineSink(write_end, "standard output"))
    failures.put(failed(*[b"x" * 999] * 500))
    passing = Call(failures.one_pass)
    assert not passing.is_over(0.05)

    failures.close(patient=False)
    passing.result()

    assert 500 - 65536 // 1000 <= failures.finish() <= 500


def test_a_line_that_was_begun_is_not_begun_again():
    """A reader that wakes up after all gets the rest of it."""
    read_end, write_end = os.pipe()
    line = b"".join(b"%07d " % n for n in range(50_000))
    failures = Failures(LineSink(write_end, "standard output"))
    failures.put(failed(line))
    passing = Call(failures.one_pass)
    assert not passing.is_over(0.05)

    failures.close(patient=False)
    passing.result()
    reading = Call(read_all, read_end)
    failures.finish()
    os.close(write_end)

    read = reading.result()
    assert (line + b"\n").startswith(read)
    os.close(read_end)


def test_a_descriptor_that_does_not_block_is_waited_for_as_well():
    """Standard output may have been left so by another program."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    lines = [b"x" * 999] * 1000

    with ours, theirs:
        writing = Call(write_and_close, Failures(LineSink(theirs.fileno(), "out")), *lines)
        received = 0
        while received < 1_000_000:
            received += len(ours.recv(65536))

        assert 0 == writing.result()


def test_nowhere_takes_everything():
    """A run without --print and -f."""
    assert 0 == write_and_close(Failures(open_sink(None, to_stdout=False)), b"a")


def test_what_cannot_be_written_is_tried_again_after_a_while(monkeypatch):
    """And no sooner: a full disk is not hammered."""
    monkeypatch.setattr(spool_module, "_RETRY_SECONDS", 0.2)
    failures = Failures(open_sink("/dev/full", to_stdout=False))
    failures.put(failed(b"a"))
    failures.one_pass()
    begin = time.monotonic()

    failures.one_pass()

    assert 0.15 < time.monotonic() - begin < 5.0
