"""Records of JSON: one on each line, as they come, or all of them in an array."""

from collections.abc import Callable

from hypershell.core.errors import StartError
from hypershell.core.record import json_of, read_json, record_of
from hypershell.server.input.forms import JSON_LINES, TaskMaker
from hypershell.server.input.lines import STDIN, LineReader

MAX_JSON = 2**30
"""Bytes of a JSON array, which is read as a whole."""


class JsonReader:
    """Reads the lines of `reader`, which are records of JSON, or an array of them all."""

    def __init__(self, reader: LineReader, template: str | None) -> None:
        self.path = STDIN
        self.maker = TaskMaker(JSON_LINES, template)
        self.error: StartError | None = None
        self._reader = reader
        self._array: bytearray | None = None
        self._is_first = True
        self.lines_read = 0
        self.ended = False

    @property
    def fingerprint(self) -> bytes:
        """See RecordReader."""
        return self.maker.fingerprint

    def read(self, timeout: float | None) -> list[tuple[int, bytes]]:
        """See RecordReader."""
        lines = self._reader.read(timeout)
        if self._is_first:
            while lines and not lines[0][1].strip():
                lines.pop(0)
            if lines:
                self._is_first = False
                self._array = bytearray() if lines[0][1].lstrip().startswith(b"[") else None
        if self._array is not None:
            lines = self._of_array(lines)
        elif self._reader.ended:
            self.ended, self.error = True, self._reader.error
        if lines:
            self.lines_read = lines[-1][0]
        return lines

    def _of_array(self, lines: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """What is known of the records of an array: all of it at its end."""
        assert self._array is not None
        for _, line in lines:
            self._array += line + b"\n"
        if len(self._array) > MAX_JSON:
            self.refuse(1, f"its array is longer than {MAX_JSON} bytes")
            return []
        if not self._reader.ended:
            return []
        self.ended, self.error = True, self._reader.error
        if self.error is not None:
            return []
        try:
            values = read_json(bytes(self._array))
            return [(n, json_of(record_of(each))) for n, each in enumerate(values, 1)]
        except ValueError as error:
            self.refuse(1, f"it is not an array of records of JSON: {error}")
            return []

    def skip(self, number: int, each: Callable[[bytes], None]) -> bool:
        """See RecordReader: no run of it is resumed."""
        return number == 0

    def is_ready(self) -> bool:
        """See RecordReader."""
        return self._reader.is_ready()

    def refuse(self, number: int, reason: str) -> None:
        """See RecordReader."""
        self._reader.refuse(number, reason)
        self.ended, self.error = True, self._reader.error

    def wake(self) -> None:
        """See RecordReader."""
        self._reader.wake()

    def close(self) -> None:
        """See RecordReader."""
        self._reader.close()
