"""Standard output, as one that says in our words when it cannot be written."""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False  # as in cli/main
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from hypershell.app.maintenance import ByteWriter


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


def for_reader() -> ByteWriter:
    """Standard output for text that may hold anything: as it is, but for a person at a terminal."""
    return _Terminal() if sys.stdout.isatty() else sys.stdout.buffer


class _Terminal:
    """Writes whole lines to a terminal, with nothing in them that moves a cursor."""

    def write(self, data: bytes, /) -> int:
        from hypershell.core.visible import visible

        lines = data.split(b"\n")
        text = "\n".join("\t".join(map(visible, line.split(b"\t"))) for line in lines)
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        return len(data)

    def flush(self) -> None:
        sys.stdout.buffer.flush()


def write_error(data: bytes) -> None:
    """Write to standard error what a task wrote there; OutputUnwritable.

    Where there is none, or nobody reads it any more, that is not an error.
    """
    if sys.stderr is None:
        return
    from hypershell.cli.output.stderr import finish_messages

    finish_messages(patient=True)
    try:
        # This waits for its reader, as any program does.
        with open(2, "wb", closefd=False) as descriptor:
            descriptor.write(data)
    except BrokenPipeError:
        return
    except OSError as error:
        from hypershell.core.errors import OutputUnwritable, system_reason

        reason = system_reason(error)
        raise OutputUnwritable(where="standard error", reason=reason) from error


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
            from hypershell.core.errors import OutputUnwritable, system_reason

            self._is_told = True
            reason = system_reason(error)
            raise OutputUnwritable(where="standard output", reason=reason) from error
