"""Submission of lines: to a server, in batches that it has room for, or to the database."""

import json
import os
import shlex
from collections.abc import Iterator

from hypershell.app.task_api import LocalTasks, RemoteTasks, open_task_api
from hypershell.cli.options import Parsed
from hypershell.cli.selection_options import submit_options_from
from hypershell.core.errors import ServerUnable, StartError, SubmitLost
from hypershell.core.submission import SubmitOptions
from hypershell.core.task import MAX_LINE, is_task
from hypershell.core.units import counted
from hypershell.server.input.lines import LineReader, open_input
from hypershell.wire.client_plane import ControlProxy
from hypershell.wire.codec import WireError

_BATCH_LINES = 5000
_BATCH_BYTES = 8 * 2**20


def submit(parsed: Parsed) -> int:
    """Submit what a command line says and print the ids."""
    submit_options = submit_options_from(parsed)
    path = parsed.text("--file")
    line = one_line(parsed) if path is None else b""
    reader = None if path is None else LineReader(open_input(path), path)
    hand = open_task_api(parsed)
    if isinstance(hand, LocalTasks):
        lines = [[line]] if reader is None else list(_batches(reader))
        _print_ids(parsed, hand.submit(lines, submit_options))
        _check_end(reader)
        return 0
    assert isinstance(hand, RemoteTasks)
    submission = _Submission(hand.proxy, submit_options)
    try:
        for batch in [[line]] if reader is None else _batches(reader):
            submission.add(batch)
    finally:
        # Also when it broke off: these are at the server.
        _print_ids(parsed, submission.ids)
    _check_end(reader)
    return 0


def _print_ids(parsed: Parsed, ids: list[int]) -> None:
    if parsed.flag("--json"):
        print(json.dumps(ids))
    elif ids:
        print("\n".join(map(str, ids)))


def _check_end(reader: LineReader | None) -> None:
    """Raise what ended the input, if it was not its end."""
    error: StartError | None = None if reader is None else reader.error
    if error is not None:
        raise error


def one_line(parsed: Parsed) -> bytes:
    """The line of a command that stands after `--`."""
    words = parsed.words("ARG")
    line = os.fsencode(words[0] if len(words) == 1 else shlex.join(words))
    if not is_task(line):
        raise parsed.error(
            "there is no command after --", f"write it as `{parsed.verb} -- COMMAND ...`"
        )
    if b"\n" in line:
        raise parsed.error(
            "a task must be one line; this has several", "separate the commands with `;`"
        )
    if len(line) > MAX_LINE:
        raise parsed.error(f"a line is at most {MAX_LINE} bytes")
    return line


def _batches(reader: LineReader) -> Iterator[list[bytes]]:
    """The lines that are tasks, as they come."""
    batch: list[bytes] = []
    while not reader.ended:
        batch += [line for _, line in reader.read(None) if is_task(line)]
        while len(batch) >= _BATCH_LINES or sum(map(len, batch)) >= _BATCH_BYTES:
            yield batch[:_BATCH_LINES]
            batch = batch[_BATCH_LINES:]
        if batch and not reader.is_ready():
            yield batch  # a slow producer: what it has said so far is not kept
            batch = []
    if batch:
        yield batch


class _Submission:
    """Adds batches one after the other; each is at the server when `add` returns."""

    def __init__(self, proxy: ControlProxy, submit_options: SubmitOptions) -> None:
        self._proxy = proxy
        self._terms = submit_options
        self.ids: list[int] = []

    def add(self, lines: list[bytes]) -> None:
        """Submit these lines, waiting for room; SubmitLost."""
        for batch in _by_size(lines):
            accepted: list[int] = []
            while not accepted:
                try:
                    accepted = self._proxy.submit(batch, self._terms)
                except (EOFError, OSError, WireError, ValueError, ServerUnable) as error:
                    reason = "the server ended" if isinstance(error, EOFError) else str(error)
                    raise SubmitLost(
                        accepted=counted(len(self.ids), "task"), reason=reason
                    ) from error
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
