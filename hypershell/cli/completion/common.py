"""What the completion scripts of all shells have in common: facts about options, and filling in."""

import re
from collections.abc import Iterable
from string import Template

from hypershell.cli.completion.usage import (
    PROGRAM,
    Option,
    Usage,
    commands,
    read_usage,
    usage_of,
    words_of,
)
from hypershell.cli.verb_table import VERBS

NAME = PROGRAM.replace("-", "_")
"""What shell functions are called after."""

FILE_VALUES = {"FILE", "PATH"}
DIRECTORY_VALUES = {"DIR", "DIRECTORY"}
HOST_VALUES = {"ADDR", "HOST"}
DESCRIPTION_LENGTH = 60


def kind_of(option: Option) -> str:
    """What completes a value: file, directory, host, choice, or nothing that a shell could know."""
    if option.choices:
        return "choice"
    for kind, names in (
        ("file", FILE_VALUES),
        ("directory", DIRECTORY_VALUES),
        ("host", HOST_VALUES),
    ):
        if option.metavar in names:
            return kind
    return "free"


def short_of(description: str) -> str:
    """The first clause of a description, for one line of a menu."""
    clause = re.split(r"[.;:(\[]( |$)|[(\[]|$", description, maxsplit=1)[0].strip().rstrip(",")
    if len(clause) > DESCRIPTION_LENGTH:
        clause = clause[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0]
    return clause.replace("`", "")


class Script(Template):
    """A template whose placeholders look like none of the shells' own: `@{name}`."""

    delimiter = "@"


def fill(template: str, **parts: str) -> str:
    """The template with its placeholders replaced."""
    return Script(template).substitute(parts, program=PROGRAM, name=NAME)


def usages() -> dict[str, Usage]:
    """The usage of each verb and each command of two words, and of the program under ""."""
    return {command: read_usage(usage_of(command)) for command in ("", *commands())}


def next_words(command: str, usage: Usage) -> list[str]:
    """The fixed words that may come next: verbs, or those of the verb."""
    if not command:
        return list(VERBS)
    return usage.words + (words_of(command) if command in VERBS else [])


def takes_files(usage: Usage) -> bool:
    """Whether a positional argument is a file."""
    return any(name.strip("<>").upper() in FILE_VALUES for name in usage.operands)


def names_of(options: Iterable[Option]) -> list[str]:
    """All spellings of some options."""
    return [name for option in options for name in option.names]
