"""What does not match a usage text is named, with what the command takes."""

import pytest

from hypershell.cli.completion.usage import usage_of, words_of
from hypershell.cli.options import Parsed, parse
from hypershell.core.errors import UsageError


def parsed(command: str) -> Parsed | None:
    """The arguments of a command line, cut at spaces, by the texts of its verb."""
    verb, *arguments = command.split()
    words = {word: usage_of(f"{verb} {word}") for word in words_of(verb)}
    return parse(usage_of(verb), verb, arguments, words)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("server stop x", 'unexpected argument "x": `server stop` takes no arguments'),
        (
            "server generate-access",
            "an argument is missing: `server generate-access` takes one FILE",
        ),
        ("initdb x", 'unexpected argument "x": `initdb` takes no arguments'),
        ("info", "an argument is missing: `info` takes one ID"),
        ("info 1 2", 'unexpected argument "2": `info` takes one ID'),
        ("access reseal a", "an argument is missing: `access reseal` takes FILE and OUT"),
        ("access info a b", 'unexpected argument "b": `access info` takes one FILE'),
        ("access", "`access` needs info or reseal"),
        ("db chek", '`db` takes check, vacuum or export, not "chek"'),
        ("db check x", 'unexpected argument "x": `db check` takes no arguments'),
        ("completion tcsh", '`completion` takes bash, zsh or fish, not "tcsh"'),
        ("submit ls", 'unexpected argument "ls": `submit` takes a command after `--`'),
        ("run", "expected `hyper-shell run [options] -- ARG...`"),
        ("list -- x", "`list` takes no arguments after `--`"),
    ],
)
def test_words_that_do_not_match_are_named(command, said):
    """By the word that is too many, or what is missing."""
    with pytest.raises(UsageError) as raised:
        parsed(command)

    assert said == str(raised.value)


@pytest.mark.parametrize(
    ("command", "owner"),
    [
        ("server --drain", "hyper-shell server stop"),
        ("server a --client-file x", "hyper-shell server generate-access"),
        ("server stop --bundlesize 3", "hyper-shell server"),
        ("server --server-dir d info --timeout 3", "hyper-shell server wait"),
    ],
)
def test_an_option_of_another_command_of_the_verb_says_whose_it_is(command, owner):
    """It is unknown here, and the hint says where it is known."""
    with pytest.raises(UsageError, match="there is no option --") as raised:
        parsed(command)

    assert raised.value.advice.endswith(f"is an option of `{owner}`")


@pytest.mark.parametrize("word", words_of("server"))
def test_each_command_of_two_words_shows_its_own_help(word, capsys):
    """`server stop --help` is not the text of `server`."""
    assert parsed(f"server --server-dir d {word} --help") is None
    assert capsys.readouterr().out == usage_of(f"server {word}")


def test_a_command_of_two_words_is_parsed_as_itself():
    """Its verb has both words."""
    found = parsed("server --server-dir d stop --drain")

    assert found is not None
    assert ("server stop", "stop") == (found.verb, found.word)
    assert found.flag("--drain")
    assert "d" == found.text("--server-dir")


def test_words_after_the_separator_reach_the_verb():
    """As they stand, with options and separators of their own."""
    found = parsed("submit --tag a:1 --tag b:2 -- ls -f x -- ::: --tag c")

    assert found is not None
    assert ["ls", "-f", "x", "--", ":::", "--tag", "c"] == found.words("ARG")
    assert ["a:1", "b:2"] == found.repeated("--tag")
    assert found.text("--file") is None
