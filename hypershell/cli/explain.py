"""Turns an error into two lines on standard error and an exit status; nothing else does."""

import sys
from collections.abc import Callable
from contextlib import suppress

INTERNAL_ERROR = 70
"""Exit status of a defect of ours (EX_SOFTWARE, sysexits.h): not to be taken for a failed task."""

_START_FAILED = 3


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

    from hypershell.core.visible import visible

    lines = "".join(traceback.format_exception(error)).splitlines()
    with suppress(OSError):
        print("\n".join(map(visible, lines)), file=sys.stderr, flush=True)


def explain(error: Exception) -> int:
    """Say on standard error what happened and what to do; the exit status."""
    try:
        return _explain(error)
    except (ImportError, MemoryError, OSError):
        # Not even the words for it can be loaded.
        return say_plainly(error)


def say_plainly(error: Exception) -> int:
    """The same where nothing more can be imported: the system lets us do next to nothing."""
    with suppress(OSError, MemoryError, AttributeError, ValueError):
        text = f"hyper-shell: error: the system lets too little be done here: {error}\n"
        sys.stderr.write(text + "hint: raise the limits of this process (`ulimit -a`)\n")
        sys.stderr.flush()
    return _START_FAILED


def _explain(error: Exception) -> int:
    from hypershell.cli.hints import fitted
    from hypershell.cli.system_errors import understood
    from hypershell.core.errors import HyperShellError
    from hypershell.core.visible import visible

    error = understood(error)
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
