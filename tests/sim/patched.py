"""Puts a fault back, by a patch kept beside the tests, and looks after how many seeds it is found.

    python -m tests.sim.patched [NAME ...]

Each patch begins with a line that says what is wrong then.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATCHES = HERE / "patches"

MOST_SEEDS = 20_000

NEEDS_DATABASE = {"all-clients-left", "idle-answer-ahead", "acknowledged-early"}
"""What a server without a database cannot do wrong, as it has no successor."""


class Found(NamedTuple):
    """A rule that was broken, and which seed broke it first, counted from 1; 0 if none was."""

    seeds: int
    what: str


def names() -> list[str]:
    """The patches that there are."""
    return sorted(path.stem for path in PATCHES.glob("*.patch"))


def apply(name: str, directory: Path) -> None:
    """Make a copy of the program and its simulation there, with a fault; CalledProcessError."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hypershell", directory / "hypershell", ignore=ignored)
    shutil.copytree(HERE, directory / "tests" / "sim", ignore=ignored)
    command = ["git", "apply", "--whitespace=nowarn", str(PATCHES / f"{name}.patch")]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def find(name: str, most: int = MOST_SEEDS) -> Found:
    """Run seeds from 0 on until one finds the fault."""
    with tempfile.TemporaryDirectory() as directory:
        apply(name, Path(directory))
        kind = "--database" if name in NEEDS_DATABASE else "--memory"
        command = [sys.executable, "-m", "tests.sim.run", kind, "--stop-at-first"]
        result = subprocess.run(
            [*command, "--seeds", f"0:{most}", "--no-timeline"],
            cwd=directory,
            env=os.environ | {"PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    first = re.search(r"^seed (\d+) \(\w+\): (.*)$", result.stdout, re.MULTILINE)
    if first is None:
        return Found(0, result.stdout + result.stderr)
    return Found(int(first[1]) + 1, first[2])


def main() -> int:
    """Look for each fault that is named, or for all; 1 if one is not found."""
    status = 0
    for name in sys.argv[1:] or names():
        found = find(name)
        print(f"{name}: {found.seeds or 'not found'}: {found.what[:300]}", flush=True)
        status |= not found.seeds
    return status


if __name__ == "__main__":
    sys.exit(main())
