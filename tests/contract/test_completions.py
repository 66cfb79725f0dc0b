"""The completion scripts do in real shells what they promise."""

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hypershell.cli.completion import SCRIPTS
from hypershell.cli.completion.usage import commands, read_usage, usage_of
from hypershell.cli.verb_table import VERBS

PRINT_REPLY = r"""
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_hyper_shell "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""

AT_PROMPT = {
    "bash": r"""
        PS1=; bind 'set enable-bracketed-paste off'
        bind -x '"\C-g": printf "%s\n" "$READLINE_LINE" > reply'
        source ./script
        """,
    "zsh": """
        PS1=; ZDOTDIR=.
        autoload -Uz compinit && compinit -u -d ../what-zsh-has-found
        reply() { print -r -- "$BUFFER" > reply }; zle -N reply; bindkey '^G' reply
        source ./script
        """,
}
"""What makes each shell complete for us and write the line it then has into the pipe `reply`."""


@pytest.fixture
def script(tmp_path):
    """A function that writes a shell's script into a directory with some files in it."""

    def write(shell: str) -> Path:
        (tmp_path / "tasks list.txt").touch()
        (tmp_path / "script").write_text(SCRIPTS[shell]())
        return tmp_path

    return write


def bash_offers(directory: Path, *words: str) -> list[str]:
    """What bash's function offers for the last word."""
    command = ["bash", "--norc", "-c", f"source ./script\n{PRINT_REPLY}", "bash", *words]
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)
    assert "" == ended.stderr
    return [line for line in ended.stdout.splitlines() if line]


def fish_offers(directory: Path, line: str) -> list[str]:
    """What fish offers for a line, without the descriptions."""
    command = ["fish", "-N", "-c", f"source ./script; complete -C {shlex.quote(line)}"]
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)
    assert "" == ended.stderr
    return [offer.partition("\t")[0] for offer in ended.stdout.splitlines()]


def type_at_prompt(shell: str, directory: Path, line: str) -> str:
    """What a line becomes when Tab is pressed at its end, in an interactive shell on a terminal."""
    (directory / "rc").write_text(AT_PROMPT[shell])
    os.mkfifo(directory / "reply")
    start = {"bash": ["bash", "--rcfile", "rc", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        start, cwd=directory, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as child:
        os.close(theirs)
        try:
            if shell == "zsh":
                os.write(ours, b"source ./rc\n")
            os.write(ours, f"{line}\t\x07".encode())
            return (directory / "reply").read_text().rstrip("\n")
        finally:
            os.close(ours)
            child.kill()


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_verb_prints_the_script(shell):
    """`hyper-shell completion SHELL` prints the script and nothing else."""
    command = [sys.executable, "-m", "hypershell", "completion", shell]

    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    assert (SCRIPTS[shell](), "") == (ended.stdout, ended.stderr)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_accepts_its_script(shell, script, need):
    """The script has no syntax error in the shell it is for."""
    command = [need(shell), "-n", "script"]

    ended = subprocess.run(command, cwd=script(shell), capture_output=True, text=True, check=False)

    assert (0, "") == (ended.returncode, ended.stderr)


def test_bash_offers_the_verbs(script, need):
    """The first word is a verb."""
    need("bash")

    assert set(VERBS) == set(bash_offers(script("bash"), "hyper-shell", ""))


@pytest.mark.parametrize("verb", commands())
def test_bash_offers_every_option_of_a_verb(verb, script, need):
    """After a verb, a dash offers all its options and no other."""
    need("bash")
    names = [name for option in read_usage(usage_of(verb)).options for name in option.names]

    assert sorted(names) == sorted(bash_offers(script("bash"), "hyper-shell", *verb.split(), "-"))


@pytest.mark.parametrize("verb", commands())
def test_fish_offers_every_long_option_of_a_verb(verb, script, need):
    """After a verb, two dashes offer all its long options and no other."""
    need("fish")
    names = [name for option in read_usage(usage_of(verb)).options for name in option.names]
    long_names = [name for name in names if name.startswith("--")]

    offers = fish_offers(script("fish"), f"hyper-shell {verb} --")

    assert sorted(long_names) == sorted(offer.rstrip("=") for offer in offers)


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_offers_the_second_words_of_a_verb(shell, script, need):
    """After `server`, the commands that have a help text of their own."""
    need(shell)
    directory = script(shell)

    if shell == "bash":
        offers = bash_offers(directory, "hyper-shell", "server", "st")
    else:
        offers = fish_offers(directory, "hyper-shell server st")

    assert {"start", "stop"} == set(offers)


def test_bash_finds_the_second_word_after_options(script, need):
    """`server --server-dir DIR stop` is `server stop`."""
    need("bash")
    words = ("hyper-shell", "server", "--server-dir", "d", "stop", "--dr")

    assert ["--drain"] == bash_offers(script("bash"), *words)


def test_bash_offers_files_where_a_file_is_wanted(script, need):
    """FILE, and the value of an option that names one, are completed from the directory."""
    need("bash")
    directory = script("bash")

    assert ["tasks list.txt"] == bash_offers(directory, "hyper-shell", "server", "tas")
    assert ["tasks list.txt"] == bash_offers(directory, "hyper-shell", "server", "-f", "tas")
    assert ["tasks list.txt"] == bash_offers(
        directory, "hyper-shell", "server", "--failures", "=", "tas"
    )


@pytest.mark.parametrize("words", [["--log-format", ""], ["--log-format", "=", ""]])
def test_bash_offers_the_words_that_an_option_takes(words, script, need):
    """Where only a few words will do, these are offered."""
    need("bash")

    assert ["human", "json"] == bash_offers(script("bash"), "hyper-shell", "server", *words)


def test_fish_offers_the_words_that_an_option_takes(script, need):
    """Where only a few words will do, these are offered."""
    need("fish")

    assert ["human", "json"] == fish_offers(script("fish"), "hyper-shell server --log-format ")


def test_bash_offers_nothing_where_a_number_is_wanted(script, need):
    """The value of --port is neither a file nor a verb."""
    need("bash")

    assert [] == bash_offers(script("bash"), "hyper-shell", "server", "--port", "")


def test_bash_takes_the_value_of_an_option_for_no_operand(script, need):
    """`--port 1` does not use up the place of the word after the verb; a word does."""
    need("bash")
    directory = script("bash")

    assert ["tasks list.txt"] == bash_offers(
        directory, "hyper-shell", "server", "--port", "1", "tas"
    )
    assert ["fish"] == bash_offers(directory, "hyper-shell", "completion", "fi")
    assert [] == bash_offers(directory, "hyper-shell", "completion", "bash", "fi")


def test_fish_offers_files_where_a_file_is_wanted(script, need):
    """FILE is completed from the directory, and the first word is not."""
    need("fish")
    directory = script("fish")

    assert ["tasks list.txt"] == fish_offers(directory, "hyper-shell server tas")
    assert [] == fish_offers(directory, "hyper-shell tas")


@pytest.mark.parametrize("shell", AT_PROMPT)
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("hyper-shell cli", "hyper-shell client"),
        ("hyper-shell server --bundles", "hyper-shell server --bundlesize"),
        ("hyper-shell server --failures tas", r"hyper-shell server --failures tasks\ list.txt"),
        ("hyper-shell server tas", r"hyper-shell server tasks\ list.txt"),
        ("hyper-shell server --log-format js", "hyper-shell server --log-format json"),
        ("hyper-shell completion fi", "hyper-shell completion fish"),
        ("hyper-shell server stop --dra", "hyper-shell server stop --drain"),
    ],
)
def test_tab_completes_at_the_prompt(shell, line, completed, script, need):
    """The Tab key does it, quoting and all; what a shell adds behind a whole word is its own."""
    need(shell)

    assert completed == type_at_prompt(shell, script(shell), line).rstrip(" =")
