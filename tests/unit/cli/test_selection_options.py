"""From options to the settings of tasks."""

import pytest

from hypershell.cli.options import parse
from hypershell.cli.selection_options import spec_from, submit_options_from
from hypershell.cli.verbs import cluster, submit
from hypershell.core.errors import UsageError
from hypershell.core.task_spec import DEFAULT_SPEC, TaskSpec


@pytest.mark.parametrize("words", [["-r", "2"], ["--max-retries=2"]])
def test_an_option_gives_a_setting(words: list[str]) -> None:
    """In its short form, too."""
    parsed = parse(submit.USAGE, "submit", [*words, "--", "true"])
    assert parsed is not None

    assert TaskSpec(max_retries=2) == submit_options_from(parsed).spec


def test_what_no_option_gives_is_left_open() -> None:
    """The default is the one that there is."""
    parsed = parse(submit.USAGE, "submit", ["--", "true"])
    assert parsed is not None

    assert DEFAULT_SPEC is submit_options_from(parsed).spec


@pytest.mark.parametrize("value", ["-1", "x", "1.5"])
def test_a_wrong_value_of_a_setting_names_its_option(value: str) -> None:
    """And what it wants."""
    parsed = parse(cluster.USAGE, "cluster", ["FILE", f"--max-retries={value}"])
    assert parsed is not None

    with pytest.raises(UsageError, match="--max-retries must be a whole number"):
        spec_from(parsed)
