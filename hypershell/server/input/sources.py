"""Where the records of a run come from: files, arguments, numbers, JSON, and products of these.

What comes from one file keeps the form that it has there. Everything else is made into records of
JSON, so that it can be written to a file and read again, whatever it came from.
"""

import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, product
from typing import NamedTuple

from hypershell.core.errors import InputDamaged, InputUnreadable, StartError
from hypershell.core.record import Record, json_of
from hypershell.server.input.forms import (
    JSON_LINES,
    LINES,
    Form,
    TaskMaker,
    columns,
    comma_separated,
    whole,
)
from hypershell.server.input.json_reader import JsonReader
from hypershell.server.input.lines import STDIN, LineReader, open_input
from hypershell.server.input.reader import RecordReader

log = logging.getLogger(__name__)

ARGUMENTS = "arguments"
"""What an input is called that is no file."""

_AT_ONCE = 1000
"""Records that one read returns at most, where they need not be waited for."""

Say = Callable[[str], None]


class ArgumentList(NamedTuple):
    """Values, or the files that have them, after a separator as GNU parallel has them.

    `is_linked` says that its values go with those of the list before it, one with one.
    """

    words: tuple[str, ...]
    are_files: bool = False
    is_linked: bool = False


class InputSource(NamedTuple):
    """What a run reads, and how: see the option texts.

    `files` are read one after the other, each as the `form` has it; `array` has numbers. Without
    any of them, and without `json` and `lists`, the input is standard input.
    """

    files: tuple[str, ...] = ()
    lists: tuple[ArgumentList, ...] = ()
    array: tuple[range, ...] = ()
    json: str | None = None
    form: Form = LINES
    template: str | None = None
    keeps_cr: bool = False

    @property
    def path(self) -> str:
        """The one file that is the input, "-" if it is none that could be read again."""
        return self.file or STDIN

    @property
    def _only_list_file(self) -> str:
        only = self.lists[0] if len(self.lists) == 1 and not self.array else None
        return only.words[0] if only and only.are_files and len(only.words) == 1 else ""

    @property
    def file(self) -> str | None:
        """The only file whose records are read in its own form; None if there are others."""
        if self.json is not None or self.array:
            return None
        if self.lists:
            return self._only_list_file or None
        return next(iter(self.files), STDIN) if len(self.files) < 2 else None

    @property
    def columns(self) -> list[tuple[ArgumentList, str]]:
        """The lists, each file of them as one of its own, with its name."""
        return [
            (each, name)
            for each in self.lists
            for name in (each.words if each.are_files else ("",))
        ]

    @property
    def output_form(self) -> Form:
        """The form in which records are written that failed."""
        return JSON_LINES if self.file is None else self.form

    @property
    def named_files(self) -> tuple[str, ...]:
        """All files that are read, "-" for standard input."""
        listed = (word for each in self.lists if each.are_files for word in each.words)
        named = (*self.files, *listed, *([] if self.json is None else [self.json]))
        return named if named or self.lists or self.array else (STDIN,)


def open_source(source: InputSource, say: Say | None = None) -> RecordReader:
    """Open all that is to be read; StartError. What is multiplied is read here, but for the first.

    `say` is told once what was taken off lines.
    """
    if source.file is not None:
        return _open_file(source, source.file, TaskMaker(source.form, source.template), say)
    if source.json is not None:
        reader = _open_file(source, source.json, TaskMaker(JSON_LINES), say)
        return JsonReader(reader, source.template)
    if source.array:
        numbers = (Record((b"%d" % number,)) for each in source.array for number in each)
        return CombinedReader([], numbers, _alone, source.template)
    if source.files:
        makers = (TaskMaker(source.form) for _ in source.files)
        readers = [
            _open_file(source, *each, say) for each in zip(source.files, makers, strict=True)
        ]
        return CombinedReader(readers, (), _alone, source.template)
    return _open_lists(source, say)


def _open_file(
    source: InputSource, path: str, maker: TaskMaker, say: Say | None = None
) -> LineReader:
    return LineReader(open_input(path), path, say or log.warning, maker, source.keeps_cr)


def _open_lists(source: InputSource, say: Say | None) -> "CombinedReader":
    """The product of lists: the last of them varies fastest."""
    columns_of = source.columns
    first, streams = columns_of[0][0], False
    if first.are_files and not (len(columns_of) > 1 and columns_of[1][0].is_linked):
        streams = True
    groups: list[list[Record]] = []
    for number, (each, name) in enumerate(columns_of):
        if streams and not number:
            continue
        records = _records_of(source, each, name, say)
        if each.is_linked and groups:
            groups[-1] = [_together(pair) for pair in zip(groups[-1], records, strict=False)]
        else:
            groups.append(records)
    if streams:
        reader = _open_file(source, columns_of[0][1], TaskMaker(source.form), say)
        return CombinedReader(
            [reader], (), lambda record: _product([[record], *groups]), source.template
        )
    return CombinedReader([], _product(groups), _alone, source.template)


def _records_of(
    source: InputSource, each: ArgumentList, name: str, say: Say | None
) -> list[Record]:
    """All records of a list; StartError."""
    if each.are_files:
        reader = _open_file(source, name, TaskMaker(source.form), say)
        found = []
        try:
            while not reader.ended:
                found += list(_read(reader, None))
            if reader.error is not None:
                raise reader.error
        finally:
            reader.close()
        return found
    maker, words = TaskMaker(source.form), list(each.words)
    try:
        texts = [os.fsencode(word) for word in words]
        if source.form.has_header and texts:
            maker.take_header(texts.pop(0))
        return [maker.record(text) for text in texts]
    except ValueError as error:
        raise InputUnreadable(path=ARGUMENTS, reason=str(error)) from None


def _read(reader: LineReader, timeout: float | None) -> Iterator[Record]:
    """The records that are there; the reader is refused the first that has none."""
    for number, text in reader.read(timeout):
        try:
            yield reader.maker.record(text)
        except ValueError as error:
            reader.refuse(number, str(error))
            return


def _product(groups: Sequence[Sequence[Record]]) -> Iterator[Record]:
    return map(_together, product(*groups))


def _together(records: Iterable[Record]) -> Record:
    """One record with the values of some; named only if all are."""
    parts = list(records)
    values = tuple(value for part in parts for value in part.values)
    names = tuple(name for part in parts for name in part.names)
    return Record(values, names if len(names) == len(values) else ())


def _alone(record: Record) -> Iterator[Record]:
    return iter((record,))


class CombinedReader:
    """Records that are made of others: those of `readers`, one after the other, or of `records`.

    Each of a reader is replaced by what `combine` makes of it.
    """

    def __init__(
        self,
        readers: Sequence[LineReader],
        records: Iterable[Record],
        combine: Callable[[Record], Iterator[Record]],
        template: str | None,
    ) -> None:
        self.path = STDIN
        self.maker = TaskMaker(JSON_LINES, template)
        self.error: StartError | None = None
        self.ended = False
        self.lines_read = 0
        self._all = tuple(readers)
        self._readers = deque(readers)
        self._records = iter(records)
        self._combine = combine

    @property
    def fingerprint(self) -> bytes:
        """See RecordReader."""
        return self.maker.fingerprint

    def read(self, timeout: float | None) -> list[tuple[int, bytes]]:
        """See RecordReader."""
        found = list(islice(self._records, _AT_ONCE))
        if not found and self._readers:
            reader = self._readers[0]
            read = list(_read(reader, timeout))
            self._records = chain.from_iterable(map(self._combine, read))
            if reader.ended:
                self._readers.popleft()
                self.error = self.error or reader.error
                if reader.error is not None:
                    self._readers.clear()
            found = list(islice(self._records, _AT_ONCE))
        elif not found:
            self.ended = True
        first = self.lines_read + 1
        self.lines_read += len(found)
        return [(number, json_of(record)) for number, record in enumerate(found, first)]

    def skip(self, number: int, each: Callable[[bytes], None]) -> bool:
        """See RecordReader: an input that cannot be read again is never resumed."""
        return number == 0

    def is_ready(self) -> bool:
        """See RecordReader."""
        return not self._readers or self._readers[0].is_ready()

    def refuse(self, number: int, reason: str) -> None:
        """See RecordReader."""
        self.ended = True
        self.error = InputDamaged(path=ARGUMENTS, number=number, reason=reason)

    def wake(self) -> None:
        """See RecordReader."""
        if readers := list(self._readers)[:1]:
            readers[0].wake()

    def close(self) -> None:
        """See RecordReader."""
        for reader in self._all:
            reader.close()


def read_array(text: str) -> tuple[range, ...]:
    """The numbers of `1-1000:2,2000`: ranges with steps, or single ones; ValueError."""
    found = []
    for part in text.split(","):
        ends = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18})(?::(\d{1,18}))?)?", part, re.ASCII)
        if ends is None:
            raise ValueError("expected numbers such as 7 and ranges such as 1-1000 or 1-1000:2")
        first, last, step = int(ends[1]), int(ends[2] or ends[1]), int(ends[3] or 1)
        if last < first or not step:
            raise ValueError(f"{part} is not a range")
        found.append(range(first, last + 1, step))
    return tuple(found)


def form_of(null: bool, colsep: str | None, is_csv: bool, has_header: bool) -> Form:
    """The form that options give to files; ValueError."""
    separator = b"\0" if null else b"\n"
    if is_csv:
        return Form(comma_separated, b"\n", True, has_header, skips_blank=True)
    if colsep is not None:
        try:
            pattern = re.compile(os.fsencode(colsep))
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        if pattern.match(b""):
            raise ValueError("matches nothing: it would cut between all characters")
        return Form(columns(pattern), separator, has_header=has_header, pattern=pattern.pattern)
    return Form(whole, separator, has_header=has_header)
