"""No file of the project speaks of the place or the way in which it was written."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = re.compile(
    r"""
    (?<![\w.~$}/])/(?: work | root | home | Users )/    # one developer's directories;
      (?! (?: me | u | user | alice | bob ) \b )         # one that is plainly made up may stand
    | \b(?: chatgpt | openai | anthropic | claude | llm | (?<!ssh-)agents? ) \b
    | \bissue\ \#?\d                            # the reason stands in the text itself
    | \bas\ an\ ai\b
    | \b(?: FIXME | XXX ) \b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def tracked_files() -> list[Path]:
    """What git tracks; a source tree without git has nothing to look at."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in files if path.is_file() and path != Path(__file__)]


def test_no_file_has_a_forbidden_word():
    """Developer paths, tools and reminders stay out of what is published."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {hit[0]}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if (hit := FORBIDDEN.search(line))
    ]

    assert [] == found


@pytest.mark.parametrize(
    "line",
    [
        "see /work/" + "notes",
        "open('/root/" + "x')",
        "cd /home/" + "jane/src",
        "closes issue #" + "12",
        "# FIX" + "ME",
    ],
)
def test_a_forbidden_word_is_seen(line):
    """The search finds what it is for."""
    assert FORBIDDEN.search(line)


@pytest.mark.parametrize(
    "line", ["framework/run", "https://x.org/root/a", "~/work/tasks", "/home", "/work/u"]
)
def test_an_ordinary_word_is_not_seen(line):
    """The search leaves ordinary text alone."""
    assert not FORBIDDEN.search(line)
