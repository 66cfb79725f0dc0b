"""Submission of lines over the client plane, in batches that the server has room for."""

import json
import os
import shlex

from hypershell.cli.options import Parsed
from hypershell.cli.reach import connect, place_from
from hypershell.core.errors import StartError, SubmitLost
from hypershell.core.task import LONGEST_LINE, is_task
from hypershell.server.lines import LineReader, open_input
from hypershell.wire.codec import WireError
from hypershell.wire.control import ControlProxy

_COMMAND = "hyper-shell submit"
_BATCH_LINES = 1000
_BATCH_BYTES = 8 * 2**20


def submit(parsed: Parsed) -> int:
    """Submit what a command line says and print the ids."""
    place = place_from(parsed)
    path = parsed.text("--file")
    line = one_line(parsed) if path is None else b""
    reader = LineReader(open_input(path), path) if path is not None else None
    submission = _Submission(connect(place, _COMMAND))
    try:
        if reader is None:
            submission.add([line])
        else:
            _submit_lines(reader, submission)
    finally:
        # Also when it broke off: these are at the server.
        if parsed.flag("--json"):
            print(json.dumps(submission.ids))
        elif submission.ids:
            print("\n".join(map(str, submission.ids)))
    return 0


def one_line(parsed: Parsed) -> bytes:
    """The line of a command that stands after `--`."""
    words = parsed.words("ARG")
    line = os.fsencode(words[0] if len(words) == 1 else shlex.join(words))
    if not is_task(line):
        raise parsed.error("there is no command after --", "write it as `submit -- COMMAND ...`")
    if b"\n" in line:
        raise parsed.error("a task is one line, and this has several", "use -f, or separate with ;")
    if len(line) > LONGEST_LINE:
        raise parsed.error(f"a line is at most {LONGEST_LINE} bytes")
    return line


def _submit_lines(reader: LineReader, submission: "_Submission") -> None:
    batch: list[bytes] = []
    while not reader.ended:
        batch += [line for _, line in reader.read(None) if is_task(line)]
        while len(batch) >= _BATCH_LINES or sum(map(len, batch)) >= _BATCH_BYTES:
            submission.add(batch[:_BATCH_LINES])
            batch = batch[_BATCH_LINES:]
        if batch and not reader.is_ready():
            submission.add(batch)  # a slow producer: what it has said so far is not kept
            batch = []
    if batch:
        submission.add(batch)
    error: StartError | None = reader.error
    if error is not None:
        raise error


class _Submission:
    """Adds batches one after the other; each is at the server when `add` returns."""

    def __init__(self, proxy: ControlProxy) -> None:
        self._proxy = proxy
        self.ids: list[int] = []

    def add(self, lines: list[bytes]) -> None:
        """Submit these lines, waiting for room; SubmitLost."""
        for batch in _by_size(lines):
            accepted: list[int] = []
            while not accepted:
                try:
                    accepted = self._proxy.submit(batch)
                except (EOFError, OSError, WireError, ValueError) as error:
                    reason = "the server ended" if isinstance(error, EOFError) else str(error)
                    raise SubmitLost(accepted=len(self.ids), reason=reason) from error
            self.ids += accepted


def _by_size(lines: list[bytes]) -> list[list[bytes]]:
    """The lines in batches that fit into a message."""
    batches: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if batches[-1] and size + len(line) > _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(line)
        size += len(line)
    return batches
