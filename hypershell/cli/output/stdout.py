"""Standard output, as one that says in our words when it cannot be written."""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False  # as in cli/main
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def watch_stdout() -> None:
    """From now on, report an error of standard output as one that a user can act on.

    That nobody reads any more stays a BrokenPipeError.
    """
    before = sys.stdout
    encoding = getattr(before, "encoding", None) or "utf-8"
    # Who closed it started us with none; a descriptor is there by now.
    output = _Output(1, "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=encoding,
        errors=getattr(before, "errors", None) or "surrogateescape",
        line_buffering=output.isatty(),
    )


class _Output(io.FileIO):
    """Descriptor 1. A failed write is reported once, and later output is dropped."""

    _is_told = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write as a file does; OutputUnwritable."""
        if self._is_told:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            from hypershell.core.errors import OutputUnwritable

            self._is_told = True
            raise OutputUnwritable(reason=(error.strerror or "").lower()) from error
