"""Why a task failed, so that tasks that failed alike are told together."""

import hashlib


def signature(ending: int, code: int, err: bytes) -> str:
    """What tasks that failed alike share."""
    return f"{int(ending)} {code}"


def digest(text: str) -> str:
    """A short name of it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
