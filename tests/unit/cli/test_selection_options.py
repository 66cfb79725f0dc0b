"""From the words of a command line to the tasks that are meant."""

import pytest

from hypershell.cli.selection_options import join_tags

CASES = {
    "none": (["7"], ["7"]),
    "one": (["--tag", "a:1", "7"], ["7", "--tag=a:1"]),
    "several": (["--tag", "a", "7", "--tag=b:2"], ["7", "--tag=a\nb:2"]),
    "behind --": (["--tag", "a", "--", "x", "--tag", "y"], ["--tag=a", "--", "x", "--tag", "y"]),
    "without a value": (["7", "--tag"], ["7", "--tag"]),
}


@pytest.mark.parametrize(("words", "joined"), CASES.values(), ids=CASES)
def test_tags_are_joined_into_one_option(words: list[str], joined: list[str]) -> None:
    """Those of the command behind `--` are not ours."""
    assert joined == join_tags(words)
