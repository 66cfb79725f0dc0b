"""Opens what a run reads, and the files where it writes the lines of failed tasks."""

import os
from collections.abc import Callable
from typing import NamedTuple

from hypershell.core.errors import FileNotOurs
from hypershell.server.input.forms import LINES, Form
from hypershell.server.input.reader import RecordReader
from hypershell.server.input.sources import InputSource, open_source
from hypershell.server.reports.joblog import check_joblog
from hypershell.server.reports.sink import LineSink, open_sink
from hypershell.serverdir.written_files import WrittenFile, WrittenFiles


class InputOptions(NamedTuple):
    """What a run reads, and where the lines of failed tasks go.

    `source` is None for a run without an input; `is_stdin_by_default` if none was named.
    `failures` is a file for failed lines, or `prints_failures` has them printed. They and the
    `joblog` may `overwrite` what others wrote.
    """

    source: InputSource | None = InputSource()
    failures: str | None = None
    prints_failures: bool = False
    joblog: str | None = None
    overwrite: bool = False
    is_stdin_by_default: bool = False

    @property
    def form(self) -> Form:
        """The form in which failed lines are written."""
        return LINES if self.source is None else self.source.output_form

    @property
    def path(self) -> str | None:
        """The file that is read, "-" if it is none that could be read again, None for no input."""
        return None if self.source is None else self.source.path


def open_input_and_sink(
    options: InputOptions, written_files: Callable[[], WrittenFiles], goes_on: bool
) -> tuple[RecordReader | None, LineSink]:
    """The input, if the run has one, and where failed lines go; StartError.

    Nothing is read or emptied yet. A file for failed lines must be empty, or known to the
    `written_files`, or new to them where the run `goes_on` after an earlier one and adds to it.
    """
    check_joblog(options.joblog, options.overwrite)

    def recorded(path: bytes, status: os.stat_result) -> WrittenFile | None:
        files = written_files()
        length = files.length(path, status)
        is_foreign = status.st_size and (length is None or status.st_size > length)
        if not is_foreign or options.overwrite:
            return files.record(path, status)
        if goes_on and length is None:
            return None  # nothing of it is cut, and it stays foreign
        reason = "was not written by -f before" if length is None else "was changed since"
        raise FileNotOurs(path=options.failures, reason=reason, option="-f")

    def opened_sink() -> LineSink:
        sink = open_sink(options.failures, options.prints_failures, recorded)
        form = options.form
        sink.separator, sink.may_continue = form.separator, form.may_continue
        return sink

    if options.source is None:
        return None, opened_sink()
    reader = open_source(options.source)
    try:
        return reader, opened_sink()
    except BaseException:
        reader.close()
        raise
