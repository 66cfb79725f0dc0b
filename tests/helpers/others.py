"""Letting somebody who is not us into the folder of a test."""

from pathlib import Path


def let_others_in(folder: Path) -> None:
    """Open the folder, and those above it that pytest made, to all; none beyond these."""
    made = [each for each in folder.parents if each.name.startswith(("pytest-", "popen-"))]
    for each in (folder, *made):
        each.chmod(0o755)
