"""A command line is cut into options, operands and the words after a separator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypershell.cli.arguments import (
    SEPARATORS,
    Arguments,
    Separated,
    UsageText,
    check,
    cut,
    first_operand,
    no_such_option,
    verb_first,
)
from hypershell.cli.options import parse
from hypershell.core.errors import UsageError

USAGE = """\
Usage:
  hyper-shell try [FILE] [options] [-- ARG...] [::: VALUE...] [:::+ MORE...]

Options:
  -n NUM, --number NUM  A number [default: 1].
  -t SEC                Seconds.
  -v, --verbose         A flag.
  -q                    Another.
  --tag KEY:VALUE       A tag, which is something that a task is given. May be
                        repeated.
  --null                Lines end in a zero byte.
  --running             A flag.
  --last WORD           Nothing follows it but a paragraph.

May be repeated. That is no description of an option.
"""

WITHOUT = """\
Usage:
  hyper-shell try [options]

Options:
  --tag KEY:VALUE  A tag. May be repeated.
  -h, --help       Show this text.
"""

TEXT = UsageText(USAGE)

FLAGS = ["-v", "--verbose", "-q", "--null", "--running"]
VALUED = ["-n", "--number", "-t", "--tag", "--last"]

flags = st.sampled_from(FLAGS).map(lambda name: [name])
anything = st.one_of(st.text(max_size=5), st.sampled_from([*SEPARATORS, *FLAGS, *VALUED, "-", ""]))
valued = st.tuples(st.sampled_from(VALUED), anything).map(list)
attached = st.tuples(st.sampled_from(VALUED), anything).map(
    lambda pair: (
        ["=".join(pair)] if pair[0].startswith("--") else ["".join(pair) if pair[1] else "-v"]
    )
)
operands = (
    st.text(min_size=1, max_size=5).filter(lambda word: word not in SEPARATORS and word[0] != "-")
    | st.just("-")
    | st.just("")
).map(lambda word: [word])


def options_of(arguments: Arguments) -> list[tuple[str, str | None]]:
    """The options by their full names, with their values."""
    return [(each.option.name if each.option else "?", each.value) for each in arguments.options]


@given(
    before=st.lists(st.one_of(flags, valued, attached, operands), max_size=8),
    separator=st.sampled_from(SEPARATORS),
    after=st.lists(anything, max_size=6),
)
def test_no_word_is_lost_or_read_twice(before, separator, after):
    """Options, values, operands and separated words are those that were given, in order."""
    words = [word for part in before for word in part]

    found = cut(TEXT, [*words, separator, *after])

    assert found.operands == tuple(
        part[0] for part in before if len(part) == 1 and (part[0] == "-" or part[0][:1] != "-")
    )
    flat = [word for part in found.separated for word in (part.separator, *part.words)]
    assert flat == [separator, *after]
    assert all(each.option is not None for each in found.options)
    assert len(found.options) == len(before) - len(found.operands)


@given(st.lists(st.one_of(flags, valued, attached, operands), max_size=6))
def test_what_docopt_gets_reads_the_same_when_it_is_cut_again(before):
    """The canonical words mean what the given ones meant, but for repeated options."""
    found = cut(TEXT, [word for part in before for word in part])

    again = cut(TEXT, found.for_docopt())

    firsts = dict(reversed(options_of(found)))
    assert firsts == dict(options_of(again))
    assert found.operands == again.operands


@given(name=st.sampled_from(VALUED), value=anything)
def test_the_word_after_an_option_that_takes_a_value_is_its_value(name, value):
    """As with getopt_long, even if it looks like an option or a separator."""
    found = cut(TEXT, [name, value, "file"])

    assert [value] == [each.value for each in found.options]
    assert ("file",) == found.operands
    assert () == found.separated


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--tag=a:b=c"], [("--tag", "a:b=c")]),
        (["--tag="], [("--tag", "")]),
        (["-n3"], [("--number", "3")]),
        (["-vn", "3"], [("--verbose", None), ("--number", "3")]),
        (["-vqt-5"], [("--verbose", None), ("-q", None), ("-t", "-5")]),
        (["-t", "--"], [("-t", "--")]),
        (["-0"], [("--null", None)]),
        (["-v0q"], [("--verbose", None), ("--null", None), ("-q", None)]),
        (["--run"], [("?", None)]),
        (["-5"], [("?", None)]),
        (["--number"], [("--number", None)]),
    ],
)
def test_an_option_is_read_in_each_of_its_forms(words, options):
    """Attached, apart, after `=`, or several letters together."""
    assert options == options_of(cut(TEXT, words))


def test_words_after_a_separator_are_cut_at_those_that_the_verb_takes():
    """A further `--`, and a separator that the verb does not take, are words like others."""
    found = cut(TEXT, ["f", "--", "a", "--", "-v", ":::", "1", "::::", "--", ":::+"])

    assert ("f",) == found.operands
    assert () == found.options
    assert found.separated == (
        Separated("--", ("a", "--", "-v")),
        Separated(":::", ("1", "::::", "--")),
        Separated(":::+", ()),
    )


def test_only_an_option_whose_own_text_says_so_may_be_repeated():
    """The mark may be wrapped; a paragraph after the options marks none."""
    table = TEXT.options

    assert {"--tag", "--debug"} == {name for name in table if table[name].may_repeat}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--number"], "^--number needs a value$"),
        (["-n"], "^-n needs a value$"),
        (["--null=3"], "^--null takes no value$"),
        (["-v", "--verbose"], "^--verbose may be given only once$"),
        (["-n", "3", "--number=3"], "^--number may be given only once$"),
        (["--run"], r"^there is no option --run; did you mean --running\?$"),
        (["--nul"], r"^there is no option --nul; did you mean --null\?$"),
        (["--tga=a"], r"^there is no option --tga; did you mean --tag\?$"),
        (["--zzz"], "^there is no option --zzz$"),
        (["-vx"], "^there is no option -x$"),
        (["::::", "a"], "^`try` takes no arguments after `::::`$"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_name(words, said):
    """Abbreviations too: they would change their meaning with the next option."""
    with pytest.raises(UsageError, match=said):
        check(cut(TEXT, words), TEXT, "try", {})


def test_a_digit_is_an_option_only_where_its_long_name_is_one():
    """docopt would take -0 for a number."""
    text = UsageText(WITHOUT)

    with pytest.raises(UsageError, match=r"^there is no option -0$"):
        check(cut(text, ["-0"]), text, "try", {})


def test_an_option_of_another_command_says_whose_it_is():
    """Rather than one that is spelled nearly so."""
    with pytest.raises(UsageError, match=r"^there is no option --drain$") as raised:
        check(cut(TEXT, ["--drain"]), TEXT, "try", {"--drain": "hyper-shell try stop"})

    assert "`--drain` is an option of `hyper-shell try stop`" == raised.value.advice


def test_repeated_values_are_kept_in_order():
    """However they are spelled, and none after a separator."""
    parsed = parse(
        USAGE, "try", ["--tag", "a:1", "f", "--tag=b:2", "--tag", "-", "--", "--tag", "c"]
    )

    assert parsed is not None
    assert ["a:1", "b:2", "-"] == parsed.repeated("--tag")
    assert [] == parsed.repeated("--last")
    assert ["--tag", "c"] == parsed.words("ARG")
    assert [] == parsed.words("VALUE")
    assert "f" == parsed.text("FILE")


def test_help_is_not_the_value_of_an_option(capsys):
    """`--tag --help` is a tag; `--help` alone shows the text."""
    parsed = parse(WITHOUT, "try", ["--tag", "--help"])

    assert parsed is not None
    assert ["--help"] == parsed.repeated("--tag")
    assert parse(WITHOUT, "try", ["--tag", "x", "--help", "--nonsense"]) is None
    assert capsys.readouterr().out == WITHOUT


def test_the_second_word_is_found_after_options():
    """The values of options are not taken for it, nor is what follows a separator."""
    assert "stop" == first_operand([TEXT], ["-v", "--last", "info", "stop"])
    assert first_operand([TEXT], ["--", "stop"]) is None


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        (["list", "--debug"], ["list", "--debug"]),
        (["--server-dir=d", "list", "x"], ["list", "--server-dir=d", "x"]),
        (["--server-dir", "d", "list", "x"], ["list", "--server-dir", "d", "x"]),
        (["--debug", "--server-dir", "list", "list"], ["list", "--debug", "--server-dir", "list"]),
        (["--server-dir"], ["--server-dir"]),
        (["--server-dir", "d"], ["--server-dir", "d"]),
        (["--nonsense", "list"], ["--nonsense", "list"]),
    ],
)
def test_options_before_the_verb_move_after_it(words, moved):
    """Without a verb, the words stay as they are."""
    assert moved == verb_first(words)


def test_an_option_may_be_meant_by_several_names():
    """A few are named; many are not."""
    names = ["--log-file", "--log-format", "--lease"]

    assert no_such_option("--lo", names).endswith("did you mean --log-file or --log-format?")
    assert "there is no option -l" == no_such_option("-l", names)
    assert "there is no option --l" == no_such_option("--l", [*names, "--limit", "--list"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tag", ""], "the value of --tag is empty"),
        (["--tag="], "the value of --tag is empty"),
        (["-t", "", "x"], "the value of -t is empty"),
        (["x", ""], "an argument is empty"),
    ],
)
def test_an_empty_word_does_not_count_as_one_that_was_not_given(words, message):
    """Of `cluster "$FILE"` without a FILE, the input would be something else, and the end 0."""
    with pytest.raises(UsageError, match=message):
        check(cut(TEXT, words), TEXT, "try", {})

    check(cut(TEXT, ["x", "--", ""]), TEXT, "try", {})
