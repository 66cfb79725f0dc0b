"""Why a task failed, in a form that tasks that failed alike share."""

import hashlib
import re

from hypershell.core.ending import Ending

_LINES = 3
_MAX_LINE = 300

_CHANGES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "UUID"),
        (r"\b0[xX][0-9a-fA-F]+\b", "ADDRESS"),
        (r"\b[a-z][a-z+.-]*://[^\s\"'<>]+", "URL"),
        (r"(?<![\w.])(?:~|\.{1,2})?(?:/[^\s/:;,\"'`()\[\]<>]+)+/?", "PATH"),
        (r"(?<![\w.])[\w.-]+(?:/[\w.-]+)+", "PATH"),
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?", "TIME"),
        (r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b", "TIME"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "ADDRESS"),
        (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}\b", "HEX"),
        (r"\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?", "N"),
    )
)


def signature(ending: Ending, code: int, err: bytes) -> str:
    """What tasks that failed alike share: how they ended, and below it the last lines that they
    printed, without what differs from one to the other: numbers, paths, addresses, times."""
    return "\n".join([ending.describe(code), *normalised(err)])


def digest(text: str) -> str:
    """A short name of a signature."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def normalised(err: bytes) -> list[str]:
    """The last lines that are not blank, in common words."""
    lines: list[str] = []
    for line in reversed(err.splitlines()):
        text = " ".join(line[:_MAX_LINE].decode("utf-8", "replace").split())
        text = text.replace("\0", "")
        for pattern, name in _CHANGES:
            text = pattern.sub(name, text)
        if text:
            lines.append(text)
        if len(lines) == _LINES:
            break
    return lines[::-1]
