"""Prints the commands of an input, each on a line of its own, as a shell reads it."""

import itertools
import sys

from hypershell.cli.prompts import say_that_lines_are_read
from hypershell.core.errors import UsageError
from hypershell.core.one_line import one_line
from hypershell.core.task import command_of
from hypershell.server.input.sources import InputSource, open_source


def print_commands(source: InputSource | None) -> int:
    """Print what a run of this input would run; the exit status. StartError."""
    if source is None:
        raise UsageError("--dry-run needs an input", "", "name a FILE, or use a template")
    if source == InputSource():
        say_that_lines_are_read()
    reader, ids = open_source(source), itertools.count(1)
    out = sys.stdout.buffer
    try:
        while not reader.ended:
            for number, text in reader.read(None):
                try:
                    task = reader.maker.task(text, number, lambda: next(ids))
                except ValueError as error:
                    reader.refuse(number, str(error))
                    break
                if task is not None:
                    out.write(one_line(command_of(task.line)) + b"\n")
            out.flush()
        if reader.error is not None:
            raise reader.error
    finally:
        reader.close()
    return 0
