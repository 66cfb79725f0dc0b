"""Renders the completion script for zsh."""

import re
from shlex import quote

from hypershell.cli.completion.common import NAME, fill, kind_of, short_of, takes_files, usages
from hypershell.cli.completion.usage import Option, Usage
from hypershell.cli.verb_table import VERBS

ZSH = """\
#compdef @{program}
# Completion of @{program} for zsh. Use it at once:  source <(@{program} completion zsh)
# or for good: put it as _@{program} into a directory of $fpath, before compinit

@{functions}

_@{name}() {
    local curcontext=$curcontext state line ret=1
    typeset -A opt_args
    _arguments -C -s @{options} '1: :->verb' '*:: :->rest' && ret=0
    case $state in
        verb)
            local -a verbs=(
@{verbs}
            )
            _describe -t verbs verb verbs && ret=0 ;;
        rest)
            curcontext="${curcontext%:*:*}:@{program}-$line[1]:"
            (( $+functions[_@{name}_$line[1]] )) && _@{name}_$line[1] && ret=0 ;;
    esac
    return ret
}

if [[ $funcstack[1] == _@{program} ]]; then
    _@{name} "$@@"
elif (( $+functions[compdef] )); then
    compdef _@{name} @{program}
fi
"""

ZSH_ACTIONS = {"file": "_files", "directory": "_files -/", "host": "_hosts", "free": " "}


def zsh() -> str:
    """The script for zsh 5 and newer."""
    parts = usages()
    return fill(
        ZSH,
        functions="\n\n".join(_zsh_verb(verb, parts[verb]) for verb in VERBS),
        options=" ".join(_zsh_option(option) for option in parts[""].options),
        verbs="\n".join(
            f"                {quote(f'{verb.name}:{verb.summary}')}" for verb in VERBS.values()
        ),
    )


def _zsh_option(option: Option) -> str:
    """What `_arguments` wants to know of one option."""
    text = re.sub(r"([\[\]:\\])", r"\\\1", short_of(option.description))
    names = list(option.names)
    value = ""
    if option.metavar:
        names = [f"{name}=" if name.startswith("--") else f"{name}+" for name in names]
        choices = f"({' '.join(option.choices)})"
        metavar = "value" if option.choices else option.metavar
        value = f":{metavar}:{ZSH_ACTIONS.get(kind_of(option), choices)}"
    others = f"({' '.join(option.names)})" if "--help" not in option.names else "(- *)"
    return " ".join(quote(f"{others}{name}[{text}]{value}") for name in names)


def _zsh_verb(verb: str, usage: Usage) -> str:
    """The function that completes one verb."""
    lines = [f"_{NAME}_{verb}() {{", "    _arguments -s -S \\"]
    lines += [f"        {_zsh_option(option)} \\" for option in usage.options]
    tags = [f"actions:action:({' '.join(usage.words)})"] if usage.words else []
    files = ["files:FILE:_files"] if takes_files(usage) else []
    if tags or files:
        first = " ".join(quote(tag) for tag in tags + files)
        lines.append(f"        {quote(f'1: :_alternative {first}')} \\")
    lines.append(f"        {quote('*: :_files' if files else '*: : ')}")
    return "\n".join([*lines, "}"])
