"""The environment with which this process was started, which others can read in /proc.

The C library has its variables there until one of them is set again, and Python adds to them what
the locale needs. Without a /proc nothing is known, and nothing is hidden.
"""

import os
from collections.abc import Collection

_ENV_START = 47  # fields of /proc/self/stat after the name, from the state on (proc(5))
_LOCALE = b"LC_CTYPE"


def added_by_python() -> frozenset[bytes]:
    """The variables that only Python set, by its coercion of the C locale (PEP 538)."""
    if _LOCALE not in os.environb:
        return frozenset()
    given = _read("/proc/self/environ")
    is_given = not given or any(each.startswith(_LOCALE + b"=") for each in given.split(b"\0"))
    return frozenset() if is_given else frozenset({_LOCALE})


def hide(names: Collection[str]) -> None:
    """Overwrite the values of these variables where others can read them, as far as that is known.

    This process and what it starts still have them. To be called before there are threads.
    """
    wanted = {os.fsencode(name) for name in names}
    for name in wanted:
        os.environb[name] = os.environb[name]  # from here on the C library has a copy
    fields = _read("/proc/self/stat").rpartition(b")")[2].split()
    shown = _read("/proc/self/environ")
    if len(fields) <= _ENV_START:
        return
    place = int(fields[_ENV_START])
    try:
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            for each in shown.split(b"\0"):
                name, _, value = each.partition(b"=")
                if name in wanted:
                    memory.seek(place + len(name) + 1)
                    # Not by zeros: readers such as psutil take an empty entry for the end.
                    memory.write(b"*" * len(value))
                place += len(each) + 1
    except (OSError, OverflowError):
        pass  # it is not ours to write


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
