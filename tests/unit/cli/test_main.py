"""What the program does with the words before it knows the verb."""

import pytest

from hypershell import __version__
from hypershell.cli.completion.usage import usage_of
from hypershell.cli.main import main


@pytest.mark.parametrize("words", [["-V"], ["--version"]])
def test_the_version_is_shown(words, capsys):
    """By either name."""
    assert 0 == main(words)
    assert f"hyper-shell {__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["help"], ["-h"], ["--help"], ["--server-dir", "d", "--help"], ["--debug", "-h"]]
)
def test_help_without_a_verb_is_the_overview(words, capsys):
    """On standard output, with status 0."""
    assert 0 == main(words)
    assert usage_of("") == capsys.readouterr().out


@pytest.mark.parametrize("command", ["list", "server", "server stop"])
def test_help_shows_the_help_of_a_command(command, capsys):
    """As --help after it does."""
    assert 0 == main(["help", *command.split()])
    assert usage_of(command) == capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], ["there is no verb lst", "did you mean `hyper-shell list`?"]),
        (["help", "servr"], ["there is no verb servr", "did you mean `hyper-shell server`?"]),
        (["--server-dir=d", "lst"], ["there is no verb lst", "did you mean `hyper-shell list`?"]),
        (["--sever-dir", "d", "list"], ["there is no option --sever-dir; did you mean --server-"]),
        (["--server-dir"], ["--server-dir must be followed by a verb"]),
        (["--server-dir=d"], ["--server-dir must be followed by a verb"]),
        (["--debug=3", "list"], ["--debug takes no value"]),
        (["list", "--runn"], ["there is no option --runn; did you mean --running?"]),
        (["list", "--run"], ["--run needs a value"]),
    ],
)
def test_a_word_that_is_unknown_is_named(words, said, capsys):
    """With what may have been meant; exit status 2."""
    assert 2 == main(words)

    complaint = capsys.readouterr().err
    assert all(text in complaint for text in said)
