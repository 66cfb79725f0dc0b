"""What an error of a call to the server says, and of which side.

That the connection broke, that this machine is short of something, or that joining again later
would not mend it.
"""

import errno

from hypershell.core.errors import (
    HostUnknown,
    HostUnsupported,
    HyperShellError,
    NoServer,
    NotOurServer,
    VersionMismatch,
)
from hypershell.wire.codec import WireError
from hypershell.wire.refusal import CallRefused, ErrorKind

BROKEN = (OSError, EOFError, WireError, NoServer)
"""What a call raises when the connection is at fault, and not the call."""

UNHEARD = (*BROKEN, HyperShellError, CallRefused, ValueError)
"""What a call may raise for any reason: for calls that are made again whatever it was, and for
those that nobody waits for.
"""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of this machine: they pass when tasks end, and say nothing about a connection."""

_LASTING = (HostUnknown, HostUnsupported, NotOurServer, VersionMismatch)
"""What waiting for a server does not mend, for a client that has not joined one yet."""


def is_shortage(error: BaseException) -> bool:
    """Whether this machine had no descriptor or memory left for a connection."""
    cause = error.__cause__ or error
    return isinstance(cause, OSError) and cause.errno in _SHORTAGES


def is_hang_up(error: BaseException) -> bool:
    """Whether the other side closed the connection, as a system does when a process ends."""
    return isinstance(error, EOFError | ConnectionError)


def may_wait(error: BaseException) -> bool:
    """Whether a server that could not be joined may be there in a moment."""
    if isinstance(error, CallRefused):
        return error.kind in (ErrorKind.ENDING, ErrorKind.DATABASE_UNUSABLE)
    return not isinstance(error, _LASTING)
