"""Renders the completion script for fish."""

from hypershell.cli.completion.common import (
    NAME,
    fill,
    kind_of,
    next_words,
    short_of,
    takes_files,
    usages,
)
from hypershell.cli.completion.usage import PROGRAM, Option, Usage, words_of
from hypershell.cli.verb_table import VERBS

FISH = """\
# Completion of @{program} for fish. Use it at once:  @{program} completion fish | source
# or for good: put it into ~/.config/fish/completions/@{program}.fish

# The verb on the command line so far, if there is one, and after it how many words are no options.
function __@{name}_words
    set -l words (commandline -opc)
    set -l valued @{valued}
    set -l skip 0
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            contains -- $word $valued; and set skip 1
        else
            echo $word
        end
    end
end

function __@{name}_needs_verb
    set -l words (__@{name}_words)
    test (count $words) = 0
end

# Whether the command is this verb, and its next word none of those that follow the verb here.
function __@{name}_verb_is
    set -l words (__@{name}_words)
    test (count $words) -gt 0; and test $words[1] = $argv[1]
    and not contains -- "$words[2]" $argv[2..-1]
end

function __@{name}_command_is
    set -l words (__@{name}_words)
    test (count $words) -gt 1; and test "$words[1..2]" = "$argv"
end

function __@{name}_needs_word
    set -l words (__@{name}_words)
    test (count $words) = 1; and test $words[1] = $argv[1]
end

complete -c @{program} -f
@{lines}
"""

FISH_ACTIONS = {
    "file": "-r -F",
    "directory": "-x -a '(__fish_complete_directories)'",
    "host": "-x -a '(__fish_print_hostnames)'",
    "free": "-x",
}


def fish() -> str:
    """The script for fish 3 and newer."""
    parts = usages()
    valued = dict.fromkeys(
        name for usage in parts.values() for o in usage.options if o.metavar for name in o.names
    )
    lines = [_fish_option(f"__{NAME}_needs_verb", option) for option in parts[""].options]
    for name, verb in VERBS.items():
        lines.append(
            f"complete -c {PROGRAM} -n __{NAME}_needs_verb -a {name} -d {_fish_quote(verb.summary)}"
        )
    for command, usage in parts.items():
        if command:
            lines += _fish_verb(command, usage)
    return fill(FISH, valued=" ".join(valued), lines="\n".join(lines))


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_option(condition: str, option: Option) -> str:
    words = [f"complete -c {PROGRAM} -n {_fish_quote(condition)}"]
    for name in option.names:
        words.append(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}")
    if option.metavar:
        choices = f"-x -a {_fish_quote(' '.join(option.choices))}"
        words.append(FISH_ACTIONS.get(kind_of(option), choices))
    if text := short_of(option.description):
        words.append(f"-d {_fish_quote(text)}")
    return " ".join(words)


def _fish_verb(command: str, usage: Usage) -> list[str]:
    if command in VERBS:
        condition = " ".join([f"__{NAME}_verb_is", command, *words_of(command)])
    else:
        condition = f"__{NAME}_command_is {command}"
    lines = [_fish_option(condition, option) for option in usage.options]
    if following := next_words(command, usage):
        words = _fish_quote(" ".join(following))
        lines.append(f"complete -c {PROGRAM} -n '__{NAME}_needs_word {command}' -a {words}")
    if takes_files(usage):
        lines.append(f"complete -c {PROGRAM} -n '{condition}' -F")
    return lines
