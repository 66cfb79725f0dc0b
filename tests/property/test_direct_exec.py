"""Lines that are started without a shell, for any line: the shell would have done just the same."""

import re
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from hypershell.client.tasks.direct_exec import plain_words

WORDS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_./+:,@%=-]{1,8}", fullmatch=True),
    st.sampled_from(["a=b", "-n", "--", "%1", "./x", "x=", "if", "{", "!", "2", "-", "é", "a'b'"]),
)
LINES = st.lists(WORDS, max_size=5).flatmap(
    lambda words: st.lists(
        st.sampled_from([" ", "  ", "   ", "\t"]), min_size=len(words) + 1, max_size=len(words) + 1
    ).map(lambda gaps: "".join(gap + word for gap, word in zip(gaps, [*words, ""], strict=True)))
)
ALMOST_PLAIN = st.lists(
    st.sampled_from([b"a", b"x1", b" ", b"  ", b"\t", b"\n", b"\v", b"\0", b"\x85", b"\xa0"]),
    max_size=5,
).map(b"".join)
ODD = st.text(alphabet="ab ='\"\\$`|&;<>()[]{}*?~#!^%\n\t-é", max_size=8)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.one_of(LINES, ODD), min_size=20, max_size=60))
def test_a_line_that_is_accepted_is_split_as_the_shell_splits_it(lines):
    """Word for word: the shell prints what it took the line for."""
    accepted = [(line, words) for line in lines if (words := plain_words(line.encode()))]
    script = "".join(rf"printf '%s\0' {line}; printf '\n\0'" + "\n" for line, _ in accepted)

    printed = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout

    expected = b"".join(b"\0".join([*words, b"\n", b""]) for _, words in accepted)
    assert expected == printed


@given(st.one_of(LINES, ODD))
def test_a_line_with_any_other_character_is_left_to_the_shell(line):
    """The characters that stand for themselves everywhere are a closed list."""
    if re.search(r"[^A-Za-z0-9_./+:,@%= -]", line):
        assert plain_words(line.encode()) is None


@given(st.one_of(st.binary(max_size=20), ALMOST_PLAIN))
def test_any_bytes_are_judged(line):
    """Nothing is raised; what is accepted holds no odd byte."""
    words = plain_words(line)

    assert words in (None, [word for word in line.split(b" ") if word])


def names_from(shell: str, question: str) -> list[bytes]:
    """What a shell says of its own words."""
    names = subprocess.run([shell, "-c", question], capture_output=True, check=True).stdout.split()
    assert len(names) > 20
    return names


def test_no_builtin_or_keyword_of_bash_is_started_as_a_program(need):
    """Where it is /bin/sh; it knows its own list."""
    names = names_from(need("bash"), "compgen -b; compgen -k")

    assert [] == [name for name in names if plain_words(name + b" x") is not None]


def test_no_builtin_or_keyword_of_zsh_is_started_as_a_program(need):
    """Where it is /bin/sh; it knows its own list."""
    names = names_from(need("zsh"), "print -l ${(k)builtins} ${(k)reswords}")

    assert [] == [name for name in names if plain_words(name + b" x") is not None]


POSIX_WORDS = """
    alias bg cd command eval exec exit export fc fg getopts hash jobs kill local printf pwd read
    readonly return set shift test times trap true type ulimit umask unalias unset wait echo chdir
    false break continue . : [ if then else elif fi do done case esac while until for
"""


def test_no_builtin_of_sh_is_started_as_a_program():
    """It is asked about each word that others have, and about those of POSIX."""
    names = POSIX_WORDS.split()
    script = "".join(f"command -v '{name}' || echo none\n" for name in names)

    answers = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout

    own = [name for name, at in zip(names, answers.split(), strict=True) if at == name.encode()]
    assert len(own) > 20
    assert [] == [name for name in own if plain_words(name.encode() + b" x") is not None]
