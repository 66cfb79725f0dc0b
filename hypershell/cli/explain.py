"""Turns an error into two lines on standard error and an exit status; nothing else does."""

import os
import sys
from collections.abc import Callable

INTERNAL_ERROR = 70
"""Exit status of a defect of ours (EX_SOFTWARE, sysexits.h): not to be taken for a failed task."""


class Debugging:
    """Whether errors are to show where they come from."""

    on = False


def explained(
    call: Callable[[], int], passed_on: type[Exception] | tuple[type[Exception], ...] = ()
) -> int:
    """The exit status that a call returns, or of the error that it raises, once that is explained.

    With --debug its traceback is shown first. One of those that are `passed_on` is raised.
    """
    try:
        return call()
    except passed_on:
        raise
    except Exception as error:  # noqa: BLE001 - it is explained
        if Debugging.on:
            _show_traceback(error)
        return explain(error)


def _show_traceback(error: Exception) -> None:
    import traceback
    from contextlib import suppress

    from hypershell.core.visible import visible

    lines = "".join(traceback.format_exception(error)).splitlines()
    with suppress(OSError):
        print("\n".join(map(visible, lines)), file=sys.stderr, flush=True)


def explain(error: Exception) -> int:
    """Say on standard error what happened and what to do; the exit status."""
    from hypershell.cli.hints import fitted
    from hypershell.core.errors import HyperShellError
    from hypershell.core.visible import visible

    error = _understood(error)
    if isinstance(error, HyperShellError):
        lines, status = [f"hyper-shell: error: {error}"], error.exit_code
        if error.advice:
            lines.append(f"hint: {fitted(error.advice)}")
    else:
        lines = [
            f"hyper-shell: error: {type(error).__name__}: {error}",
            "hint: this is a bug; run the command again with --debug and report the output",
        ]
        status = INTERNAL_ERROR
    try:
        print("\n".join(map(visible, lines)), file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody to tell
    return status


def _understood(error: Exception) -> Exception:
    """An error, or what it came from if that is a want of descriptors."""
    import errno

    cause: BaseException | None = error
    seen: set[BaseException | None] = set()  # an error that is raised again is its own cause
    while cause is not None and cause not in seen:
        seen.add(cause)
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            from hypershell.core.errors import TooFewDescriptors

            return TooFewDescriptors(limit=os.sysconf("SC_OPEN_MAX"))
        cause = cause.__cause__
    return error
