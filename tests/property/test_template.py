"""Whatever a value is, the shell takes it for text, wherever the template has it."""

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.core.record import Record, json_of, read_json, record_of
from hypershell.core.template import Template

SPECIAL = b"' \" ` $ $( `x` ${HOME} \\ ; & # ! * ~ -n ( ) { } {} \xff \xc3\xa9 a".split()
NASTY = st.sampled_from([*SPECIAL, b" ", b"\n", b"$(echo x)"])
VALUES = st.one_of(
    st.lists(NASTY, max_size=6).map(b"".join),
    st.binary(max_size=12).map(lambda value: value.replace(b"\0", b"")),
)
SHELLS = ["/bin/sh", "/bin/bash"]

TEMPLATES = [
    "{}",
    '"{}"',
    "'{}'",
    '"$(printf %s {}x)"',
    '"$(printf %s "{}x")"',
    "$(true)\"{}\"'{}'{}",
    "\"'{}'\"",
    "a\\'{}",
    '"a\\"{}"',
    '"$((1 + 2))${HOME-"x"}{}"',
    "{} # it's",
    "# it's\n{}",
    "x#'{}'",
]


def shown_by(shell: str, template: str, value: bytes) -> bytes:
    """The words that the template makes of a value, as the shell reads them."""
    comment, _, words = template.rpartition("\n")
    command = f"{comment}\nprintf '<%s>' {words}"
    script = Template(command).expand(Record((value,)), 1)
    return subprocess.run([shell, "-c", script], capture_output=True, check=True).stdout


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=40)
@given(value=VALUES)
def test_a_value_is_text_wherever_it_stands(shell, template, value):
    """As if it had been a word without any special character."""
    expected = shown_by(shell, template, b"VALUE").replace(b"VALUE", value)

    assert expected == shown_by(shell, template, value)


ATTACKS = [
    *(f"{quotes};:>$MARK;{quotes}" for quotes in ("", "'", '"', "`", ")", "'\"", "}", "\n", "\\")),
    *(f"{quotes}$(:>$MARK){quotes}" for quotes in ("", "'", '"', "\\")),
    *(f"{quotes}`:>$MARK`{quotes}" for quotes in ("", "'", '"', "\\")),
]


@settings(max_examples=300)
@given(
    before=st.text("'\"\\`$(){}#<ce \n;", max_size=8),
    after=st.sampled_from(["", "'", '"', ")", '")', "}", "\nE\n"]),
    shell=st.sampled_from(SHELLS),
)
def test_no_template_lets_a_value_be_run(before, after, shell):
    """After whatever text: the template is refused, or the value is no command."""
    try:
        template = Template(f"{before}{{}}{after}")
    except ValueError:
        return
    with tempfile.TemporaryDirectory() as directory:
        mark = Path(directory) / "mark"
        for attack in ATTACKS:
            script = template.expand(Record((attack.encode(),)), 1)
            settings = {"cwd": directory, "env": {"MARK": str(mark)}, "stdin": subprocess.DEVNULL}
            subprocess.run([shell, "-c", script], capture_output=True, check=False, **settings)
            assert not mark.exists(), script


@given(values=st.lists(VALUES, min_size=1, max_size=4))
def test_a_record_comes_back_from_its_json(values):
    """By position."""
    record = Record(tuple(values))

    assert record == record_of(read_json(json_of(record)))


@given(values=st.dictionaries(st.text(min_size=1), VALUES, min_size=1, max_size=4))
def test_a_record_with_names_comes_back_from_its_json(values):
    """By name."""
    record = Record(tuple(values.values()), tuple(values))

    back = record_of(read_json(json_of(record)))

    assert record.values == back.values
    assert back.names in (record.names, ())
