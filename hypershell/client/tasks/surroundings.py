"""Whether a command that needs no shell finds the same environment without one.

Shells set variables of their own, and leave some out that they were given: which ones depends on
the shell and on the environment. So the shell is asked, once, in the very environment of the tasks.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Mapping

from hypershell.runtime import clock

QUESTION = b"cat /proc/self/environ"
"""A command that prints the environment in which the shell starts it."""

_PATIENCE_SECONDS = 5.0


def shell_keeps(variables: Mapping[bytes, bytes], start: Callable[[int], int]) -> bool:
    """Whether the shell passes these variables on, and no others, to what it starts.

    `start` has the shell run QUESTION with them, with a descriptor as its output, and returns its
    process id; what it raises is passed on. Blocks, for a few seconds at most.
    """
    read_end, write_end = os.pipe()
    try:
        try:
            pid = start(write_end)
        finally:
            os.close(write_end)
        try:
            printed = _read_to_end(read_end)
        except TimeoutError:
            return False
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # whatever it is: it has said all it had to say
            os.waitpid(pid, 0)
    finally:
        os.close(read_end)
    return {b"%b=%b" % pair for pair in variables.items()} == set(printed.split(b"\0")[:-1])


def _read_to_end(descriptor: int) -> bytes:
    """All that is written there; TimeoutError."""
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    found = b""
    poller = select.poll()  # a client may have more descriptors open than select() takes
    poller.register(descriptor, select.POLLIN)
    while poller.poll(max(0.0, deadline - clock.monotonic()) * 1000):
        data = os.read(descriptor, 65536)
        if not data:
            return found
        found += data
    raise TimeoutError
