"""Cuts the words of a command line, before docopt sees them, by the option table of a usage text.

What docopt gets is unambiguous: each option by its full name, with its value attached; the words
before the first separator; and of what follows a separator nothing but the separator itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from docopt import Option, parse_docstring_sections

from hypershell.core.errors import UsageError

SEPARATORS = ("--", ":::", ":::+", "::::", "::::+")
"""After the first of these, words are neither options nor operands."""

MAY_REPEAT = "May be repeated."
"""The words that mark an option in its description as repeatable."""

_SEPARATED = re.compile(r"(?<!\S)\[?(--|::::?\+?) ([A-Z]+)\.\.\.\]?(?!\S)")
_DIGIT_OPTIONS = {"-0": "--null"}
FORMER_NAMES = {"--from-run": "--run"}
"""Spellings of an earlier release, which no text shows, by what they are called now."""

_MAX_SUGGESTIONS = 3

_HOW_EMPTY = "set the variable that it comes from, or omit it"


class Separated(NamedTuple):
    """A separator and the words after it, up to the next one."""

    separator: str
    words: tuple[str, ...]


class DeclaredOption(NamedTuple):
    """One option of a usage text; `default` is None or False unless the text has one."""

    names: tuple[str, ...]
    takes_value: bool
    may_repeat: bool
    default: object

    @property
    def name(self) -> str:
        """The long name, or the only one."""
        return self.names[-1]


DEBUG = DeclaredOption(("--debug",), takes_value=False, may_repeat=True, default=False)
"""Known after every verb."""


class Given(NamedTuple):
    """An option as it was given; `option` is None if there is no such option.

    `value` is None for an option without one, whether it needs one or not.
    """

    spelled: str
    option: DeclaredOption | None
    value: str | None


@dataclass(frozen=True)
class UsageText:
    """A usage text, and what it says about the words that it accepts."""

    text: str

    @cached_property
    def options(self) -> dict[str, DeclaredOption]:
        """Every spelling of every option."""
        after = parse_docstring_sections(self.text).after_usage
        chunks = re.split(r"^(?= +-\S)", after, flags=re.MULTILINE)[1:]
        table = {DEBUG.name: DEBUG}
        for option in map(_declared, chunks):
            table.update(dict.fromkeys(option.names, option))
        for digit, name in _DIGIT_OPTIONS.items():
            if name in table:
                table[digit] = table[name]
        for former, name in FORMER_NAMES.items():
            if name in table and "--where" in table:
                table[former] = table[name]
        return table

    @cached_property
    def separators(self) -> dict[str, str]:
        """Each separator that is accepted, and the name of the words after it."""
        return dict(_SEPARATED.findall(parse_docstring_sections(self.text).usage_body))

    def for_docopt(self, given: Iterable[str]) -> str:
        """The text that docopt gets: how the verb is used, with the options that are given.

        A separator stands alone there, without the words after it, and is not there at all if it
        may be left out. docopt compares every option of a text with every other, which would take
        longer than all else that a command line needs.
        """
        usage = self.text.partition("\n\n")[0]
        usage = _SEPARATED.sub(
            lambda found: (
                "" if found[0].startswith("[") else found[0].replace(f" {found[2]}...", "")
            ),
            usage,
        )
        options = {option.name: option for option in self.options.values()}
        lines = [
            f"  {', '.join(options[name].names)}{' VALUE' * options[name].takes_value}\n"
            for name in dict.fromkeys(given)
            if name in options
        ]
        return f"{usage}\n\nOptions:\n{''.join(lines)}"

    @cached_property
    def optional_separators(self) -> frozenset[str]:
        """The separators that may be left out."""
        body = parse_docstring_sections(self.text).usage_body
        found = _SEPARATED.finditer(body)
        return frozenset(each[1] for each in found if each[0].startswith("["))


class Arguments(NamedTuple):
    """A command line in parts."""

    options: tuple[Given, ...]
    operands: tuple[str, ...]
    separated: tuple[Separated, ...]

    def has(self, name: str) -> bool:
        """Whether an option was given, by its long name."""
        return any(each.option is not None and each.option.name == name for each in self.options)

    def values(self, name: str) -> list[str]:
        """All values that an option was given, in order."""
        return [
            each.value
            for each in self.options
            if each.option is not None and each.option.name == name and each.value is not None
        ]

    def last(self, name: str) -> str | None:
        """The value that an option was given last, if it was."""
        values = self.values(name)
        return values[-1] if values else None

    def for_docopt(self, unknown: Set[str] = frozenset()) -> list[str]:
        """The words that docopt gets: of an option that is repeated, the first.

        It is not told of the separators that are `unknown` to it.
        """
        words: list[str] = []
        seen = {DEBUG.name}
        for _, option, value in self.options:
            if option is None or option.name in seen:
                continue
            seen.add(option.name)
            if value is None:
                words.append(option.name)
            elif option.name.startswith("--"):
                words.append(f"{option.name}={value}")
            else:
                # An empty value cannot be attached, and any other must be: docopt takes no `--`.
                words += [option.name + value] if value else [option.name, ""]
        separators = {part.separator: None for part in self.separated}
        for separator in unknown:
            separators.pop(separator, None)
        return [*words, *self.operands, *separators]


def cut(usage: UsageText, arguments: list[str]) -> Arguments:
    """Cut the arguments of a verb. Nothing is refused yet: `check` does that."""
    table = usage.options
    options: list[Given] = []
    operands: list[str] = []
    rest: list[str] = []
    for each in scan(table, arguments):
        if isinstance(each, Given):
            options.append(each)
        elif isinstance(each, str):
            operands.append(each)
        else:
            rest = each
    # A command that must stand after `--` has all that follows.
    is_command = rest[:1] == ["--"] and "--" not in usage.optional_separators
    accepted = {} if is_command else usage.separators
    return Arguments(tuple(options), tuple(operands), tuple(_split(rest, accepted)))


def check(arguments: Arguments, usage: UsageText, verb: str, elsewhere: Mapping[str, str]) -> None:
    """UsageError for an option that is unknown, incomplete or repeated, and a wrong separator.

    Also for an empty value or operand, which comes from a shell variable that is not set.

    `elsewhere` names, for options that this command lacks, one that has them.
    """
    _check_options(arguments.options, usage.options, verb, elsewhere)
    for part in arguments.separated:
        if part.separator not in usage.separators:
            raise UsageError(f"`{verb}` takes no arguments after `{part.separator}`", verb)
    # Taken for one that was not given, it would quietly mean something else.
    if "" in arguments.operands:
        raise UsageError("an argument is empty", verb, _HOW_EMPTY)


def scan(
    table: Mapping[str, DeclaredOption], arguments: list[str]
) -> Iterator[Given | str | list[str]]:
    """The options and operands in order, then everything from the first separator on.

    The word after an option that needs a value is its value, whatever it looks like, as with
    getopt_long.
    """
    words = iter(arguments)
    for word in words:
        if word in SEPARATORS:
            yield [word, *words]
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            option = table.get(name)
            if not equals and option is not None and option.takes_value:
                yield Given(name, option, next(words, None))
            else:
                yield Given(name, option, value if equals else None)
        elif word.startswith("-") and word != "-":
            yield from _scan_letters(table, word[1:], words)
        else:
            yield word


def first_operand(usages: Iterable[UsageText], arguments: list[str]) -> str | None:
    """The first word that is neither an option nor its value, by the options of all the texts."""
    table = {name: option for usage in usages for name, option in usage.options.items()}
    for each in scan(table, arguments):
        if not isinstance(each, Given):
            return each if isinstance(each, str) else None
    return None


def verb_first(words: list[str]) -> list[str]:
    """The words with the options that stand before the verb moved after it."""
    at = 0
    while at < len(words):
        name, equals, _ = words[at].partition("=")
        if words[at] == DEBUG.name:
            at += 1
        elif name == "--server-dir":
            at += 1 if equals else 2
        else:
            return [words[at], *words[:at], *words[at + 1 :]]
    return words


def no_such_option(name: str, known: Iterable[str]) -> str:
    """The error text for an unknown option, with the likely ones."""
    from difflib import get_close_matches

    words = sorted({each[2:] for each in known if each.startswith("--")})
    word = name[2:] if name.startswith("--") else ""
    likely = [each for each in words if word and each.startswith(word)]
    likely = likely or get_close_matches(word, words, 1)
    if not likely or len(likely) > _MAX_SUGGESTIONS:
        return f"there is no option {name}"
    return f"there is no option {name}; did you mean {' or '.join(f'--{w}' for w in likely)}?"


def _declared(chunk: str) -> DeclaredOption:
    """The option that a line of the text, and the lines that continue it, declare."""
    option = Option.parse(chunk)
    description = " ".join(chunk.partition("\n\n")[0].split())
    return DeclaredOption(
        names=tuple(name for name in (option.short, option.longer) if name),
        takes_value=bool(option.argcount),
        may_repeat=MAY_REPEAT in description,
        default=option.value,
    )


def _scan_letters(
    table: Mapping[str, DeclaredOption], letters: str, words: Iterator[str]
) -> Iterator[Given]:
    """Options of one letter each, the last of which may be followed by its value."""
    for at, letter in enumerate(letters, 1):
        option = table.get(f"-{letter}")
        if option is not None and option.takes_value:
            yield Given(f"-{letter}", option, letters[at:] or next(words, None))
            return
        yield Given(f"-{letter}", option, None)
        if option is None:
            return


def _split(words: list[str], accepted: Mapping[str, str]) -> Iterator[Separated]:
    """The words from the first separator on, cut at each of the `:::` family that is accepted.

    A further `--` belongs to the words: a command may have one of its own.
    """
    ends = [at for at, word in enumerate(words) if at and word in accepted and word != "--"]
    for start, end in zip([0, *ends], [*ends, len(words)], strict=True):
        if words:
            yield Separated(words[start], tuple(words[start + 1 : end]))


def _check_options(
    options: Iterable[Given],
    table: Mapping[str, DeclaredOption],
    verb: str,
    elsewhere: Mapping[str, str],
) -> None:
    seen: set[str] = set()
    for spelled, option, value in options:
        if option is None:
            if owner := elsewhere.get(spelled):
                hint = f"`{spelled}` is an option of `{owner}`"
                raise UsageError(f"there is no option {spelled}", verb, hint)
            raise UsageError(no_such_option(spelled, table), verb)
        if option.takes_value and value is None:
            raise UsageError(f"{spelled} needs a value", verb)
        if not option.takes_value and value is not None:
            raise UsageError(f"{spelled} takes no value", verb)
        if value == "":
            raise UsageError(f"the value of {spelled} is empty", verb, _HOW_EMPTY)
        if option.name in seen and not option.may_repeat:
            raise UsageError(f"{option.name} may be given only once", verb)
        seen.add(option.name)
