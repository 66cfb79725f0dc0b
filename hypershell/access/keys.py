"""Keys: how one is made, and what each plane derives from it.

A key is a word that two sides share. Each plane derives a secret of its own from it, so that
the key of one plane opens nothing on the other.
"""

import base64
import binascii
import functools
import hashlib
import hmac
import secrets

WORKER = "worker"
CLIENT = "client"
PLANES = (WORKER, CLIENT)

DEFAULT_WORKER_PORT = 50001
"""Where clients that were given a key alone look for a server."""

SHORTEST = 16
"""Characters; a shorter word is refused wherever others could reach the server and guess it."""

_PREFIX = "hs1_"


def new_key() -> str:
    """Return a new random key: 256 bits as `hs1_` and base64url without padding."""
    return _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def new_client_key() -> bytes:
    """Return a new random key by which a server knows the clients that it once had."""
    return secrets.token_bytes(32)


def client_secret(key: bytes, client_id: str) -> str:
    """What a client gets when it joins, and shows when it comes back under another id."""
    return hmac.digest(key, client_id.encode("utf-8", "replace"), "sha256").hex()


def is_client_secret(key: bytes, client_id: str, shown: str) -> bool:
    """Whether this is what the client with that id got."""
    expected = client_secret(key, client_id).encode()
    return hmac.compare_digest(expected, shown.encode("utf-8", "replace"))


def is_short(key: str) -> bool:
    """Whether a stranger who can reach the server could hope to guess this key."""
    return len(key) < SHORTEST


@functools.lru_cache(maxsize=8)
def plane_secret(key: str, plane: str) -> bytes:
    """Derive the 32-byte secret of a plane from a key.

    A generated key has all the strength it needs and is derived directly; any other word goes
    through scrypt (N=2^14, r=8, p=1: 16 MiB, some 50 ms), as a server's certificate lets a
    stranger test guesses at leisure.
    """
    label = f"hyper-shell {plane} plane 1".encode()
    generated = _generated_bytes(key)
    if generated is not None:
        return hmac.digest(generated, label, "sha256")
    word = key.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(word, salt=label, n=2**14, r=8, p=1, dklen=32)


def _generated_bytes(key: str) -> bytes | None:
    """The 32 random bytes inside a generated key; None for any other word."""
    if not key.startswith(_PREFIX):
        return None
    try:
        raw = base64.urlsafe_b64decode(key[len(_PREFIX) :] + "=")
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == 32 else None
