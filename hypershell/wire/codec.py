"""Values to bytes and back: a closed set of types, so that no peer can name code to run.

None, bool, int (64 bits), float, str (undecodable bytes as surrogates), bytes, list, dict with
str keys; by tag, the manager's Token and CallRefused. Nothing else, either way.
"""

from collections.abc import Callable
from multiprocessing.managers import Token
from typing import Any

import msgpack

from hypershell.wire.refusal import CallRefused, ErrorKind

_TOKEN = 1
_REFUSAL = 2

_KINDS = {kind.value: kind for kind in ErrorKind}


class WireError(Exception):
    """A peer sent what the protocol does not allow, or a value that cannot be sent."""


def encode(value: Any) -> bytes:
    """Return the bytes of a value; WireError if its type is not in the closed set."""
    try:
        packed: bytes = msgpack.packb(
            value, default=_encode_tagged, unicode_errors="surrogateescape", use_bin_type=True
        )
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"cannot send this value: {error}") from error
    return packed


def decode(data: bytes | memoryview) -> Any:
    """Return the value of these bytes; tuples come back as lists. WireError if they are none.

    The library's own timestamps are decoded too; no verb takes one.
    """
    return _unpack(data, _decode_tagged)


def _unpack(data: bytes | memoryview, ext_hook: Callable[[int, bytes], Any]) -> Any:
    try:
        return msgpack.unpackb(data, ext_hook=ext_hook, unicode_errors="surrogateescape")
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException, RecursionError) as error:
        raise WireError(f"cannot decode a value: {type(error).__name__}") from error


def _encode_tagged(value: Any) -> msgpack.ExtType:
    if isinstance(value, Token):
        return msgpack.ExtType(_TOKEN, encode([value.typeid, value.address, value.id]))
    if isinstance(value, CallRefused):
        return msgpack.ExtType(_REFUSAL, encode([value.kind.value, str(value)]))
    raise TypeError(f"{type(value).__name__} is not a type that can be sent")


def _decode_tagged(tag: int, data: bytes) -> Any:
    if tag not in (_TOKEN, _REFUSAL):
        raise WireError(f"unknown tag {tag}")
    # Tags do not nest: each level would take a large piece of a small stack.
    match tag, _unpack(data, _refuse_tag):
        case 1, [str(typeid), address, str(ident)]:
            return Token(typeid, tuple(address) if isinstance(address, list) else address, ident)
        case 2, [str(kind), str(text)]:
            # A kind of a later release: the call was refused, and the connection is sound.
            return CallRefused(_KINDS.get(kind, ErrorKind.FAILED), text)
    raise WireError(f"tag {tag} has the wrong content")


def _refuse_tag(tag: int, data: bytes) -> Any:
    raise WireError(f"tag {tag} inside another tag")
