"""Renders the completion script for bash."""

from shlex import quote

from hypershell.cli.completion.common import (
    NAME,
    fill,
    kind_of,
    names_of,
    next_words,
    takes_files,
    usages,
)
from hypershell.cli.completion.usage import Option, Usage

BASH = """\
# Completion of @{program} for bash. Use it at once:  source <(@{program} completion bash)
# or for good: put it into ~/.local/share/bash-completion/completions/@{program}

# Candidates one a line, whatever characters they hold; $1 is the word, the rest is for compgen.
__@{name}_offer() {
    local word=$1 candidate
    shift
    while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen "$@@" -- "$word")
}

# Files ($2 is -f) or directories ($2 is -d), quoted by the shell as file names are.
__@{name}_paths() {
    compopt -o filenames 2>/dev/null
    __@{name}_offer "$1" "$2"
}

_@{name}() {
    local word=$2 before=$3 verb='' at operands=0 valued options words=''
    COMPREPLY=()
    # `--name=value` arrives as three words.
    if [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
    valued=@{program_valued}
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            =) ((at++)) ;;
            -*) if [[ $valued == *" ${COMP_WORDS[at]} "* && ${COMP_WORDS[at+1]} != = ]]; then
                    ((at++))
                fi ;;
            *) case "$verb $operands ${COMP_WORDS[at]}" in
@{verb_valued}
                    *) if [[ -n $verb ]]; then
                            ((operands++))
                        else
                            verb=${COMP_WORDS[at]}
                        fi ;;
                esac ;;
        esac
    done
    case $verb in
@{verbs}
        *) return ;;
    esac
    if [[ $word == -* ]]; then
        __@{name}_offer "$word" -W "$options"
    elif ((operands == 0)); then
        __@{name}_offer "$word" -W "$words"
    fi
}

complete -F _@{name} @{program}
"""


def bash() -> str:
    """The script for bash 3.2 and newer."""
    parts = usages()
    valued = {
        verb: quote(f" {' '.join(names_of(o for o in usage.options if o.metavar))} ")
        for verb, usage in parts.items()
    }
    return fill(
        BASH,
        program_valued=valued[""],
        verb_valued="\n".join(
            f"{20 * ' '}{_bash_pattern(name)}) verb={quote(name)} valued={valued[name]} ;;"
            for name in parts
            if name
        ),
        verbs="\n".join(_bash_verb(verb, usage) for verb, usage in parts.items()),
    )


def _bash_pattern(command: str) -> str:
    """What is `$verb $operands WORD` when WORD completes the name of a command."""
    before, _, word = command.rpartition(" ")
    return quote(f"{before} 0 {word}")


def _bash_verb(verb: str, usage: Usage) -> str:
    """The branch of `case` that completes one verb's options and words."""
    lines = [
        f"        {quote(verb)})",
        f"            options={quote(' '.join(names_of(usage.options)))}",
        f"            words={quote(' '.join(next_words(verb, usage)))}",
    ]
    valued = [option for option in usage.options if option.metavar]
    if valued:
        lines.append("            case $before in")
        for option in valued:
            lines.append(f"                {'|'.join(option.names)}) {_bash_value(option)} ;;")
        lines.append("            esac")
    if verb and takes_files(usage):
        lines.append(f'            if [[ $word != -?* ]]; then __{NAME}_paths "$word" -f; fi')
    return "\n".join([*lines, "            ;;"])


def _bash_value(option: Option) -> str:
    action = {
        "file": f'__{NAME}_paths "$word" -f; ',
        "directory": f'__{NAME}_paths "$word" -d; ',
        "host": f'__{NAME}_offer "$word" -A hostname; ',
        "choice": f'__{NAME}_offer "$word" -W {quote(" ".join(option.choices))}; ',
    }
    return f"{action.get(kind_of(option), '')}return"
