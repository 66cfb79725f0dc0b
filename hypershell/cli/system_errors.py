"""What the system refuses, in words: whatever call met it, it is no defect of ours."""

import errno
import os

_NO_ROOM = (errno.ENOMEM, errno.EAGAIN)
_SHORT_OF_MEMORY = ("cannot allocate memory", "failed to map segment", "out of memory")


def understood(error: Exception) -> Exception:
    """An error, or what the system refused that it came from."""
    from hypershell.core.errors import HyperShellError

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return _too_few_descriptors()
    if isinstance(error, HyperShellError):
        return error
    for cause in causes:
        if (found := _refusal(cause)) is not None:
            return found
    return error


def _refusal(error: BaseException) -> Exception | None:
    from hypershell.core.errors import (
        OutOfMemory,
        SystemRefused,
        TooFewProcesses,
        system_reason,
    )

    text = str(error)
    if isinstance(error, MemoryError) or any(each in text.lower() for each in _SHORT_OF_MEMORY):
        return OutOfMemory()
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return TooFewProcesses(what="thread")
    if isinstance(error, ImportError):
        # What cannot be listed is not found.
        return _too_few_descriptors() if _descriptors_are_used_up() else None
    if isinstance(error, BlockingIOError) and error.errno in _NO_ROOM:
        return TooFewProcesses(what="process")
    if not isinstance(error, OSError) or error.errno is None:
        return None
    what = "" if error.filename is None else f" ({os.fsdecode(error.filename)})"
    return SystemRefused(reason=system_reason(error), what=what)


def _causes(error: BaseException) -> list[BaseException]:
    """An error, and those that it came from; one that is raised again is its own cause."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _too_few_descriptors() -> Exception:
    from hypershell.core.errors import TooFewDescriptors

    return TooFewDescriptors(limit=os.sysconf("SC_OPEN_MAX"))


def _descriptors_are_used_up() -> bool:
    try:
        os.close(os.dup(2))
    except OSError:
        return True
    return False
