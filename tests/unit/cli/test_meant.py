"""Wrong verbs and words: what was meant is named, and is a command line that its verb accepts."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from hypershell.cli.hints import Situation
from hypershell.cli.main import main
from hypershell.cli.options import parse
from hypershell.cli.verb_table import VERBS


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch) -> Iterator[Path]:
    """A directory with a file of tasks, and no command line before or after."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks-0").write_text("true\n")
    yield tmp_path
    Situation.note("", {})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("submit echo hello", "submit -- echo hello"),
        ("run ls -l --server-dir farm", "run --server-dir farm -- ls -l"),
        ("run ls --server-dir=farm -l", "run --server-dir farm -- ls -l"),
        ("submit -r 2 echo -n", "submit -r 2 -- echo -n"),
        ("submit tasks-0", "submit -f tasks-0"),
        ("run ls -l", "run -- ls -l"),
        ("client tasks-0", "cluster tasks-0"),
        ("client -N 2 tasks-0", "cluster tasks-0"),
        ("tasks-0", "cluster tasks-0"),
        ("ls -l", "list"),
        ("true", "run -- true"),
        ("server status", "server info"),
        ("server inof", "server info"),
        ("server shutdown", "server stop"),
        ("status", "server info"),
        ("list failed", "list --failed"),
        ("cancel running", "cancel --running"),
        ("wait all", "wait --all"),
        ("clutser tasks-0", "cluster"),
    ],
)
def test_words_in_a_wrong_place_say_what_was_meant(capsys, typed, meant):
    """As people know it from other programs, or left out the dashes."""
    assert 2 == main(typed.split())

    (named,) = re.findall(r"`hyper-shell ([^`]+)`", capsys.readouterr().err.partition("hint:")[2])
    assert meant == named
    verb, *words = shlex.split(named)
    module = import_module(VERBS[verb].module)
    assert parse(module.USAGE, verb, words, getattr(module, "WORDS", None)) is not None


@pytest.mark.parametrize("typed", ["server tasks-0 -N 4", "client --forever", "wait --eager"])
def test_an_option_of_another_verb_says_whose_it_is(capsys, typed):
    """Where few verbs have it."""
    assert 2 == main(typed.split())

    assert "is an option of `hyper-shell " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["help", "submit"], ["help", "server", "stop"]])
def test_help_of_a_verb_is_shown_by_help_too(capsys, words):
    """As after the verb."""
    assert 0 == main(words)

    assert f"hyper-shell {' '.join(words[1:])}" in capsys.readouterr().out


def test_help_of_a_verb_that_does_not_exist_is_an_error(capsys):
    """And it says what there is."""
    assert 2 == main(["help", "nonsense"])

    assert "there is no verb nonsense" in capsys.readouterr().err


def test_no_option_can_be_abbreviated(capsys):
    """`--run` is not `--running`."""
    assert 2 == main(["list", "--runnin"])

    assert "there is no option --runnin; did you mean --running?" in capsys.readouterr().err
