"""The table of settings, and how a line, an option or a tag meets it."""

from dataclasses import fields

import pytest

from hypershell.core.setting_values import MAX_ENVIRONMENT
from hypershell.core.submission import read_tag
from hypershell.core.task import new_task, tags_of
from hypershell.core.task_spec import (
    DEFAULT_SPEC,
    SETTINGS,
    TaskSpec,
    is_reserved,
    layered,
    spec_of,
    unpack_spec,
)

_ENV = next(setting for setting in SETTINGS if setting.name == "env")
RESERVED = ["timeout", "expect", "cores", "memory", "gpus", "cwd", "res.licence", "res."]
LATER = ["cwd"]


def test_every_setting_has_a_row():
    """In the order of the fields."""
    assert [field.name for field in fields(TaskSpec)] == [setting.name for setting in SETTINGS]


def test_the_key_of_a_setting_is_never_a_tag():
    """Of each that there is."""
    assert all(is_reserved(setting.key) for setting in SETTINGS if setting.key)


GIVEN = [setting for setting in SETTINGS if setting.name != "record"]


@pytest.mark.parametrize("setting", GIVEN, ids=lambda setting: setting.name)
def test_a_wrong_value_is_refused_in_words(setting):
    """They say what is expected, and what was given."""
    words = "'x y': .+" if setting.explains else f"must be {setting.wants}, not 'x y'"
    with pytest.raises(ValueError, match=rf"^{words}$"):
        setting.value_of("x y")


@pytest.mark.parametrize("value", [-1, 10**9 + 1, True, 1.0, "1"])
def test_a_number_is_whole_and_within_bounds(value):
    """True is not a number."""
    with pytest.raises(ValueError, match="max_retries must be a whole number"):
        spec_of({"max_retries": value})


def test_a_plain_line_has_the_one_default():
    """So that it is told by its identity."""
    assert DEFAULT_SPEC is new_task(b"true", 1, 1).spec
    assert DEFAULT_SPEC is new_task(b"true # HYPERSHELL: kind:a group:2", 1, 1).spec


@pytest.mark.parametrize("key", LATER)
def test_a_reserved_key_of_a_later_release_is_refused_in_a_line(key):
    """It would change nothing, and nobody would know."""
    with pytest.raises(ValueError, match=f"`{key}` is a reserved key"):
        new_task(f"true # HYPERSHELL: kind:a {key}:1".encode(), 1, 1)


@pytest.mark.parametrize("key", RESERVED)
def test_a_reserved_key_is_refused_as_a_tag(key):
    """With and without a value."""
    for text in (key, f"{key}:1"):
        with pytest.raises(ValueError, match="a setting, not a tag"):
            read_tag(text)


def test_every_other_key_stays_a_tag():
    """Also one that only looks like a setting."""
    line = b"true # HYPERSHELL: timeouts:1 max_retries:2 resource:3 capture:4 group:5"

    tags = {"timeouts": "1", "max_retries": "2", "resource": "3", "capture": "4", "group": "5"}
    assert tags == tags_of(line)
    assert DEFAULT_SPEC is new_task(line, 1, 1).spec


@pytest.mark.parametrize(
    "text", ["A", "=1", "TASK_ID=1", "TASK_OWN=1", "A=a\0b", "A=" + "x" * MAX_ENVIRONMENT]
)
def test_a_variable_that_a_task_cannot_have_is_refused(text):
    """No name, a name of ours, a NUL byte, or more than fits."""
    with pytest.raises(ValueError, match="must be NAME=VALUE"):
        _ENV.value_of(text)


@pytest.mark.parametrize("text", ["A=", "A=b=c", "A= x ", "ä=\udcff", "A-B=1"])
def test_any_other_variable_survives_being_packed(text):
    """Also one that is no text, and one that a shell could not set."""
    spec = TaskSpec(env=_ENV.value_of(text))

    assert spec == unpack_spec(spec.pack()) == unpack_spec(spec.pack_for_client())


@pytest.mark.parametrize("value", ['{"A":"b"}', "[1]", '[["A"]]', '[["B","1"],["A","1"]]', "null"])
def test_variables_of_another_form_are_refused(value):
    """They come from a peer, or a database."""
    with pytest.raises(ValueError, match="env must be"):
        unpack_spec(f'{{"env":{value}}}')


def test_variables_of_a_task_come_before_those_of_its_run():
    """It has both."""
    own, run = TaskSpec(env=(("A", "own"),), timeout=3.0), TaskSpec(env=(("A", "1"), ("B", "2")))

    assert TaskSpec(env=(("A", "own"), ("B", "2")), timeout=3.0) == layered(own, run)
