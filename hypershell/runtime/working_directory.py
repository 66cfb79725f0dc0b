"""The working directory of this process, by the name that its user knows."""

import os


def working_directory() -> bytes:
    """The working directory as PWD names it, if that is right, else as the system does; OSError.

    A user's directory is often a link to where it is on this machine. Another machine may know it
    by the link alone, and so do scripts that look at PWD.
    """
    named = os.environb.get(b"PWD", b"")
    return named if _is_here(named) else os.getcwdb()


def _is_here(path: bytes) -> bool:
    if not path.startswith(b"/") or not {b".", b".."}.isdisjoint(path.split(b"/")):
        return False  # as a shell has it: PWD is absolute, and has neither of these
    try:
        return os.path.samefile(path, b".")
    except (OSError, ValueError):
        return False
