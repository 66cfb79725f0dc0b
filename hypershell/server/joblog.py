"""Writes a line for each task that is final, as GNU parallel's `--joblog` does.

A loop of its own, as a disk may be slow: the receiver never waits for it.
"""

import logging
import mmap
import os
import threading
from collections import deque
from collections.abc import Sequence

from hypershell.core.errors import FileUnwritable
from hypershell.core.joblog import JOBLOG_HEADER, joblog_line
from hypershell.core.quantity import counted
from hypershell.core.state import FINAL
from hypershell.core.task import Ending
from hypershell.server.failures import LineSink
from hypershell.store.journal import Recorded

log = logging.getLogger(__name__)

MOST_KEPT_BYTES = 64 * 2**20
"""Of lines that could not be written yet; what comes then is dropped, and counted."""

_RETRY_SECONDS = 1.0


class Joblog:
    """Moves a line for each task that is final to a sink, in the order in which they are that."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._torn = 0  # bytes of the first line that are written already
        self._hosts: dict[str, str] = {}
        self._retrying = False
        self._closing = False
        self._patient = threading.Event()
        self._patient.set()
        self._said = False
        self._dropped = 0

    def begin(self, append: bool) -> None:
        """The run begins: in a file of ours what an earlier one wrote stays, or does not."""
        if append:
            self._sink.begin(_whole_lines)
        else:
            self._sink.begin()
        if not self._sink.settle():
            self._keep([JOBLOG_HEADER])

    def note_client(self, client: str, host: str) -> None:
        """Attempts of this client are on that host."""
        self._hosts[client] = host

    def put(self, recorded: Sequence[Recorded]) -> None:
        """Add a line for each of these that is final and was tried; returns at once."""
        lines = [
            joblog_line(
                task.id,
                self._hosts.get(client, ""),
                outcome.started_at,
                outcome.seconds,
                outcome.ending,
                outcome.code,
                task.line,
            )
            for task, state, outcome, client, _ in recorded
            if state in FINAL and outcome.ending is not Ending.GIVEN_BACK
        ]
        if lines:
            self._keep(lines)

    def one_pass(self) -> bool:
        """Write what is here, waiting for it; False when closed and all is written."""
        with self._changed:
            if self._retrying:
                self._changed.wait_for(lambda: self._closing, _RETRY_SECONDS)
            else:
                self._changed.wait_for(lambda: self._lines or self._closing)
            closing = self._closing
        self._write()
        return not closing or (bool(self._lines) and self._patient.is_set() and not self._retrying)

    def close(self, patient: bool) -> None:
        """Write what is here and end; if not `patient`, without waiting for a slow reader."""
        if not patient:
            self._patient.clear()
        with self._changed:
            self._closing = True
            self._changed.notify()

    def finish(self) -> int:
        """After the last pass: how many lines could not be written, having said so."""
        missing = len(self._lines) + self._dropped
        try:
            self._sink.close()
        except OSError as error:
            log.error("cannot write %s: %s", self._sink.name, error.strerror)
            missing = max(missing, 1)
        if missing:
            log.error("%s could not be written to %s", counted(missing, "line"), self._sink.name)
        return missing

    def _keep(self, lines: list[bytes]) -> None:
        with self._changed:
            for line in lines:
                if self._bytes > MOST_KEPT_BYTES:
                    self._dropped += 1
                    continue
                self._lines.append(line)
                self._bytes += len(line)
            self._changed.notify()

    def _write(self) -> None:
        """Write the lines that are here; those that could not be stay."""
        with self._changed:
            data = b"".join(self._lines)[self._torn :]
        try:
            written = self._sink.write(data, self._patient)
        except OSError as error:
            self._retrying = True
            if not self._said:
                reason = os.strerror(error.errno or 0).lower()
                log.error("cannot write %s: %s; it is tried again", self._sink.name, reason)
                self._said = True
            return
        self._retrying = written < len(data)
        written += self._torn
        with self._changed:
            while self._lines and written >= len(self._lines[0]):
                size = len(self._lines.popleft())
                written -= size
                self._bytes -= size
        self._torn = written


def check_joblog(path: str | None) -> None:
    """See that a job log can be opened, before there is a run in the database; FileUnwritable."""
    if path is not None:
        os.close(_opened(path))


def open_joblog(path: str | None) -> Joblog | None:
    """A job log at `path`, if one is asked for; FileUnwritable.

    What is there stays until the run begins.
    """
    return None if path is None else Joblog(LineSink(_opened(path), path, ours=True))


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise FileUnwritable(path=path, reason=reason, option="--joblog") from error


def _whole_lines(path: bytes, device: int, inode: int, size: int) -> int:
    """How many bytes of a file are whole lines: a death may have left half of one."""
    if not size:
        return 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.rfind(b"\n") + 1
