"""The job log: a line for each task that is final, in the format of GNU parallel."""

import errno
import os
import subprocess

import pytest

from hypershell.core.ending import Ending
from hypershell.core.errors import FileUnwritable
from hypershell.core.joblog import JOBLOG_HEADER, joblog_line
from hypershell.core.outcome import Outcome
from hypershell.core.state import TaskState
from hypershell.core.task import new_task
from hypershell.server.events import ClientJoined
from hypershell.server.reports import spool as spool_module
from hypershell.server.reports.joblog import Joblog, open_joblog
from hypershell.server.reports.sink import LineSink
from hypershell.store.tasks.journal import Recorded


def attempt(number: int, ending: Ending = Ending.EXITED, code: int = 0) -> Recorded:
    """An attempt of a task, on a client that is known as c1."""
    outcome = Outcome(number, 1, ending, code, started_at=1.5, seconds=0.25)
    return Recorded(new_task(b"run %d" % number, number, number), TaskState.FAILED, outcome, "c1")


def write_and_close(joblog: Joblog, *recorded: Recorded, append: bool = False) -> int:
    """All that a run does with a job log; how many lines were not written."""
    joblog.begin(append)
    joblog.note_client(ClientJoined("c1", "node1", 1, 1))
    joblog.put(recorded)
    joblog.close(patient=True)
    while joblog.one_pass():
        pass
    return joblog.finish()


@pytest.mark.parametrize(
    ("ending", "code", "shown"),
    [
        (Ending.EXITED, 0, b"0\t0"),
        (Ending.EXITED, 130, b"130\t0"),
        (Ending.SIGNALED, 9, b"0\t9"),
        (Ending.UNSTARTABLE, 0, b"126\t0"),
        (Ending.LOST, 0, b"-1\t0"),
        (Ending.INTERRUPTED, 0, b"-1\t0"),
    ],
)
def test_a_line_has_nine_columns(ending, code, shown):
    """Seq, Host, Starttime, JobRuntime, Send, Receive, Exitval, Signal, Command; the line as is."""
    line = joblog_line(7, "node1", 1700000000.1234, 12.5, ending, code, b"echo 'a\tb' \xff")

    expected = b"7\tnode1\t1700000000.123\t    12.500\t0\t0\t" + shown + b"\techo 'a\tb' \xff\n"
    assert expected == line


def test_the_log_has_its_header_and_a_line_for_each_task_that_is_final(tmp_path):
    """In the order in which they were recorded; not for one that waits again, or was not tried."""
    path = tmp_path / "joblog"
    path.write_text("of an earlier run\n")

    missing = write_and_close(
        open_joblog(str(path)),
        attempt(2, code=3),
        attempt(3, Ending.GIVEN_BACK)._replace(state=TaskState.CANCELLED),
        attempt(4, code=1)._replace(state=TaskState.WAITING),
        attempt(1),
    )

    header, *lines = path.read_bytes().splitlines(keepends=True)
    assert 0 == missing
    assert JOBLOG_HEADER == header
    assert [
        b"2\tnode1\t1.500\t     0.250\t0\t0\t3\t0\trun 2\n",
        b"1\tnode1\t1.500\t     0.250\t0\t0\t0\t0\trun 1\n",
    ] == lines


def test_a_run_that_goes_on_appends_after_the_last_whole_line(tmp_path):
    """The header stands there once, and half a line that a death left is gone."""
    path = tmp_path / "joblog"
    write_and_close(open_joblog(str(path)), attempt(1))
    with path.open("ab") as file:
        file.write(b"2\tnode1\t1.")

    write_and_close(open_joblog(str(path)), attempt(2), append=True)

    header, *lines = path.read_bytes().splitlines(keepends=True)
    assert JOBLOG_HEADER == header
    assert [b"1", b"2"] == [line.split(b"\t")[0] for line in lines]


def test_a_host_that_is_not_known_is_a_dash(tmp_path):
    """An attempt that no client reported still has nine columns."""
    path = tmp_path / "joblog"

    write_and_close(open_joblog(str(path)), attempt(1)._replace(client=""))

    assert b"-" == path.read_bytes().splitlines()[1].split(b"\t")[1]


def test_a_full_disk_is_said_once_and_lines_wait_for_room(tmp_path, caplog, monkeypatch):
    """What could not be written follows, in order and whole."""

    monkeypatch.setattr(spool_module, "_RETRY_SECONDS", 0.01)

    class Full(LineSink):
        tries = 0

        def write(self, data, keep_waiting):
            self.tries += 1
            if self.tries in (1, 2):
                raise OSError(errno.ENOSPC, "no")
            return super().write(data, keep_waiting)

    path = tmp_path / "joblog"
    sink = Full(os.open(path, os.O_RDWR | os.O_CREAT), str(path), ours=True)
    joblog = Joblog(sink)
    joblog.begin(append=False)

    for n in (1, 2):
        joblog.put([attempt(n)])
        joblog.one_pass()
    joblog.one_pass()

    assert 0 == joblog.finish()
    assert 3 == len(path.read_bytes().splitlines())
    assert 1 == caplog.text.count("no space left on device")


def test_lines_beyond_what_can_be_kept_are_counted(monkeypatch, caplog):
    """A disk that stays full costs lines of the log, and neither memory nor tasks."""
    monkeypatch.setattr(spool_module, "MAX_KEPT_BYTES", 200)
    joblog = open_joblog("/dev/full")

    missing = write_and_close(joblog, *[attempt(n) for n in range(20)])

    assert 21 == missing
    assert "21 lines could not be written to /dev/full" in caplog.text


def test_a_reader_that_takes_nothing_costs_lines_and_not_memory(monkeypatch):
    """A write that does not return says nothing: what comes meanwhile is counted and dropped."""
    monkeypatch.setattr(spool_module, "MAX_KEPT_BYTES", 1000)
    reader, writer = os.pipe()
    joblog = Joblog(LineSink(writer, "a pipe"))

    joblog.put([attempt(n) for n in range(1000)])

    lines, kept = joblog.pending()
    assert kept < 2000
    joblog.close(patient=False)
    joblog.one_pass()
    assert 1000 - lines == joblog.finish()
    os.close(reader)


def test_a_log_that_cannot_be_opened_is_an_error_of_the_start(tmp_path):
    """With the option that named it."""
    with pytest.raises(FileUnwritable) as error:
        open_joblog(str(tmp_path / "none" / "joblog"))

    assert "no such file or directory" in str(error.value)
    assert "--joblog" in error.value.advice


def test_gnu_parallel_takes_the_log_for_its_own(tmp_path, need):
    """`parallel --resume-failed` runs what is not in the log as succeeded, and nothing else."""
    parallel = need("parallel")
    path = tmp_path / "joblog"
    write_and_close(open_joblog(str(path)), attempt(1), attempt(2, code=1), attempt(3))

    done = subprocess.run(
        [parallel, "--resume-failed", "--joblog", path, "echo", "ran"],
        input=b"1\n2\n3\n4\n",
        capture_output=True,
        check=False,
        env=os.environ | {"HOME": str(tmp_path)},
    )

    assert [b"ran 2", b"ran 4"] == sorted(done.stdout.splitlines())
