"""A command whose words have newlines in them, as the one line of a task."""

import os
import shlex
import shutil
import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypershell.core.one_line import one_line
from hypershell.core.task import command_of

SHELLS = [shell for name in ("sh", "bash", "dash", "zsh") if (shell := shutil.which(name))]
PIECES = ["\n", "'", '"', "\\", "%", "$x", "`y`", "\\n", "%s", "a", " ", "é", "\udcff", "-"]
TAG = "# HYPERSHELL: k:v"
WORDS = st.lists(
    st.lists(st.sampled_from([*PIECES, TAG]), max_size=6).map("".join), min_size=1, max_size=3
)


@settings(deadline=None, max_examples=40)
@given(WORDS)
@example(["two\nlines"])
@example(["ends with newlines\n\n", "\n"])
@example(["a\n# HYPERSHELL: timeout:1"])
def test_words_with_newlines_arrive_as_they_are(words):
    """In every shell, and none of them is taken for a tag."""
    command = os.fsencode(shlex.join(["printf", "%s\\0", *words, "\n"]))

    line = one_line(command)

    assert b"\n" not in line
    assert line == command_of(line)
    for shell in SHELLS:
        ran = subprocess.run([shell, "-c", line], capture_output=True, check=True)
        assert [*map(os.fsencode, words), b"\n", b""] == ran.stdout.split(b"\0")


def test_a_script_of_several_lines_runs_as_one():
    """With its exit status, and with what it does to itself."""
    line = one_line(b"x=1\nif test $x = 1; then\n  echo yes\nfi\nexit 3\n")

    for shell in SHELLS:
        ran = subprocess.run([shell, "-c", line], capture_output=True, check=False)
        assert (3, b"yes\n") == (ran.returncode, ran.stdout)
