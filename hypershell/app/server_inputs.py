"""Opens what a run reads, and the files where it writes the lines of failed tasks."""

import os
import stat
from typing import NamedTuple

from hypershell.core.errors import InputIsOutput
from hypershell.server.input.lines import STDIN, LineReader, open_input
from hypershell.server.reports.joblog import check_joblog
from hypershell.server.reports.sink import LineSink, open_sink


class InputOptions(NamedTuple):
    """What a run reads, and where the lines of failed tasks go.

    `path` is a file of lines, `-` for standard input, `is_stdin_by_default` if nothing was named;
    None is a run without an input.
    `failures` is a file for failed lines, or `prints_failures` has them printed.
    """

    path: str | None = STDIN
    failures: str | None = None
    prints_failures: bool = False
    joblog: str | None = None
    is_stdin_by_default: bool = False


def open_input_and_sink(options: InputOptions) -> tuple[LineReader | None, LineSink]:
    """The input, if the run has one, and where failed lines go; StartError, InputIsOutput."""
    if options.path is None:
        return None, open_sink(options.failures, options.prints_failures)
    descriptor = open_input(options.path)
    try:
        for option, written in (("-f", options.failures), ("--joblog", options.joblog)):
            if written is not None and _is_same_file(descriptor, written):
                raise InputIsOutput(path=written, option=option)
        check_joblog(options.joblog)
        sink = open_sink(options.failures, options.prints_failures)
        return LineReader(descriptor, options.path), sink
    except BaseException:
        os.close(descriptor)
        raise


def _is_same_file(descriptor: int, path: str) -> bool:
    try:
        one, two = os.fstat(descriptor), os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(one.st_mode) and (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
