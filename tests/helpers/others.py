"""Letting somebody who is not us into the folder of a test."""

import tempfile
from pathlib import Path


def let_others_in(folder: Path) -> None:
    """Open the folder, and those above it that pytest made, to all; none beyond these."""
    top = Path(tempfile.gettempdir())
    for each in (folder, *(parent for parent in folder.parents if top in parent.parents)):
        each.chmod(0o755)
