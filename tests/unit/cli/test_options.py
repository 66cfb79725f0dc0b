"""From words to values: what is refused, and how it is said."""

import pytest

from hypershell.cli.options import parse
from hypershell.core.errors import UsageError

USAGE = """\
Usage:
  hyper-shell try [FILE] [options]

Options:
  -n NUM, --number NUM  A number [default: 1].
  -m NUM                The same as -n.
  -w SEC, --wait SEC    Seconds.
  --form FORM           A word [default: human].
  --loud                A flag.
  -h, --help            Show this text.
"""


def parsed(*words: str):
    """The options of these words."""
    return parse(USAGE, "try", list(words))


def test_values_are_what_was_given():
    """Or the default."""
    options = parsed("tasks", "-n", "3", "--loud")

    assert 3 == options.whole("--number", default=9, lowest=0)
    assert 2.5 == options.seconds("--wait", default=2.5)
    assert options.flag("--loud")
    assert "tasks" == options.text("FILE")
    assert "human" == options.choice("--form", ("human", "json"), "human")


@pytest.mark.parametrize("text", ["x", "1.5", "1e3", "0x10", "٣", "1_000", " 1", "9" * 30])
def test_what_is_no_whole_number_is_refused(text):
    """By the name of its option."""
    with pytest.raises(UsageError, match="--number must be a whole number"):
        parsed(f"--number={text}").whole("--number", default=1, lowest=0)


@pytest.mark.parametrize("text", ["-1", "11"])
def test_a_number_out_of_bounds_is_refused(text):
    """And the bounds are said."""
    with pytest.raises(UsageError, match="from 0 to 10"):
        parsed(f"--number={text}").whole("--number", default=1, lowest=0, highest=10)


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1e3", "-1", "1,5", "1s"])
def test_what_is_no_time_is_refused(text):
    """Neither infinite nor negative."""
    with pytest.raises(UsageError, match="--wait must be"):
        parsed(f"--wait={text}").seconds("--wait", default=1)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), (".5", 0.5), ("1.", 1.0), ("+3", 3.0)])
def test_a_time_may_have_a_fraction(text, value):
    """As people write it."""
    assert value == parsed(f"--wait={text}").seconds("--wait", default=1)


def test_a_word_that_is_no_choice_is_refused():
    """And the choices are said."""
    with pytest.raises(UsageError, match="one of human, json"):
        parsed("--form", "xml").choice("--form", ("human", "json"), "human")


def test_synonyms_that_differ_contradict_each_other():
    """And two that agree do not."""
    assert "3" == parsed("-n", "3", "-m", "3").text("--number", "-m")
    with pytest.raises(UsageError, match="contradict"):
        parsed("-n", "3", "-m", "4").text("--number", "-m")


def test_a_synonym_contradicts_what_was_given_and_not_a_default():
    """Also where what was given is the default: somebody asked for two things."""
    assert 4 == parsed("-m", "4").whole("--number", "-m", default=9, lowest=0)
    with pytest.raises(UsageError, match="--number 1 and -m 4 contradict"):
        parsed("-n", "1", "-m", "4").whole("--number", "-m", default=9, lowest=0)


def test_a_synonym_is_refused_by_the_name_that_was_given():
    """Which is the one that its user can find on the command line."""
    with pytest.raises(UsageError, match="-m must be a whole number"):
        parsed("-m", "x").whole("--number", "-m", default=9, lowest=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lod"], r"no option --lod; did you mean --loud\?"),
        (["--nonsense=3"], "no option --nonsense"),
        (["-x"], "no option -x"),
        (["-n"], "-n needs a value"),
        (["a", "b"], r'unexpected argument "b": `try` takes one FILE'),
        (["--loud=3"], "--loud takes no value"),
        (["--loud", "--loud"], "--loud may be given only once"),
        (["-n", "3", "--number", "4"], "--number may be given only once"),
        (["--num", "3"], r"no option --num; did you mean --number\?"),
        (["--lout"], r"no option --lout; did you mean --loud\?"),
        (["--", "a"], "`try` takes no arguments after `--`"),
        ([":::+", "a"], r"`try` takes no arguments after `:::\+`"),
    ],
)
def test_what_cannot_be_parsed_is_told_by_its_word(words, said):
    """In our own words, with the help to look at."""
    with pytest.raises(UsageError, match=said) as raised:
        parsed(*words)

    assert "try --help" in raised.value.advice
    assert 2 == raised.value.exit_code


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["--nonsense", "--help"]])
def test_help_is_shown_whatever_else_is_asked(words, capsys):
    """As the text that it is parsed by."""
    assert parsed(*words) is None
    assert capsys.readouterr().out == USAGE


def test_options_that_were_given_are_told_from_defaults():
    """By their names."""
    assert {"--number", "--loud"} <= parsed("-n", "3", "--loud").given()
    assert set() == parsed().given()
