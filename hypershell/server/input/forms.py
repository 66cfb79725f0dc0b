"""What an input looks like, and the tasks that are made of what it has.

A *record* of an input is the text of one task: a line, or what stands between two NULs, or a record
of a CSV file, which may have newlines. A form says how its values are told from it.
"""

import io
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from hypershell.core.record import Record, read_json, record_of
from hypershell.core.task import MAX_LINE, Task, is_task, new_task
from hypershell.core.template import Template
from hypershell.core.text import bytes_of, text_of

_BLANKS = b" \t"


class Form(NamedTuple):
    """How the records of an input give their values.

    `separator` ends each record. `values` cuts one into its values; ValueError. One that
    `may_continue` has its separator inside of double quotes, as CSV may. With `has_header` the
    first is none, but names the values of the others. Blank ones are none if it `skips_blank`. The
    `pattern` is the one that `values` cuts by.
    """

    values: Callable[[bytes], Record]
    separator: bytes = b"\n"
    may_continue: bool = False
    has_header: bool = False
    skips_blank: bool = False
    pattern: bytes = b""

    @property
    def fingerprint(self) -> bytes:
        """What makes other values of the same record."""
        return b"%d%d%b" % (self.may_continue, self.has_header, self.pattern)


def whole(text: bytes) -> Record:
    """The record of a text that is one value."""
    return Record((text,))


def columns(pattern: "re.Pattern[bytes]") -> Callable[[bytes], Record]:
    """What cuts a text where a pattern matches; blanks around a value are not a part of it.

    GNU parallel 20221122 does the same: `man parallel`, "--colsep", which implies `--trim rl`.
    """

    def cut(text: bytes) -> Record:
        return Record(tuple((value or b"").strip(_BLANKS) for value in pattern.split(text)))

    return cut


def comma_separated(text: bytes) -> Record:
    """The values of a record of CSV, as RFC 4180 has it; ValueError."""
    import csv  # which few runs need

    try:
        # Python's reader wants text, and no more than one record.
        (row,) = csv.reader(io.StringIO(text_of(text), newline=""), strict=True)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"it is not CSV: {error}") from None
    return Record(tuple(map(bytes_of, row)))


def json_record(text: bytes) -> Record:
    """The record of a line of JSON; ValueError."""
    try:
        return record_of(read_json(text))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"it is not a record of JSON: {error}") from None


LINES = Form(whole)
"""Each line is its only value."""

JSON_LINES = Form(json_record, skips_blank=True)
"""Each line is JSON."""


class TaskMaker:
    """Makes tasks of the records of an input, by a template if there is one.

    Without a template, the only value of a record is the command, and one that is blank or a
    comment is no task.
    """

    def __init__(self, form: Form = LINES, template: str | None = None) -> None:
        self.form = form
        self.is_plain = template is None and form.values is whole
        """Whether records are commands as they stand."""
        self.header = b""
        """The first record, if it was none."""
        self._template = template
        self._names: tuple[str, ...] = ()
        self._template_for = lru_cache(maxsize=64)(self._new_template)
        if template is not None and not form.has_header:
            self._template_for(())

    @property
    def fingerprint(self) -> bytes:
        """What makes another task of the same record; b"" if records are commands as they stand."""
        if self._template is None:
            return b""
        return b"%b\0%b\0" % (bytes_of(self._template), self.form.fingerprint)

    def take_header(self, text: bytes) -> None:
        """The first record, which names the values of the others; ValueError."""
        self.header = text
        names = self.form.values(text).values
        self._names = tuple(text_of(name).strip() for name in names)
        if len(set(self._names)) < len(self._names):
            raise ValueError("the header has a name twice")
        if self._template is not None:
            self._template_for(self._names)

    def record(self, text: bytes) -> Record:
        """The values of a record; ValueError."""
        record = self.form.values(text)
        if not self._names:
            return record
        if len(record.values) != len(self._names):
            raise ValueError(
                f"it has {len(record.values)} values, and the header {len(self._names)}"
            )
        return Record(record.values, self._names)

    def task(self, text: bytes, number: int, new_id: Callable[[], int]) -> Task | None:
        """The task of a record, the `number`th of the input; None if it is none; ValueError."""
        if self.is_plain:
            return new_task(text, number, new_id()) if is_task(text) else None
        if self.form.skips_blank and not text.strip():
            return None
        record = self.record(text)
        if self._template is None:
            if len(record.values) != 1:
                raise ValueError("it has several values, and there is no template for them")
            command = record.values[0]
            if not is_task(command):
                return None
        else:
            command = self._template_for(record.names).expand(record, number)
            if len(command) > MAX_LINE:
                raise ValueError(f"its command is longer than {MAX_LINE} bytes")
        task = new_task(command, number, new_id())
        if command == text:
            return task
        return task._replace(spec=task.spec.with_record(text_of(text)))

    def _new_template(self, names: tuple[str, ...]) -> Template:
        assert self._template is not None
        return Template(self._template, names)
