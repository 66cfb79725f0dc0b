"""From the words of a command line to checked values; UsageError says which option and why."""

import re
from collections.abc import Mapping
from typing import Any

from docopt import DocoptExit, docopt

from hypershell.cli.arguments import (
    DEBUG,
    Arguments,
    Separated,
    UsageText,
    check,
    cut,
    first_operand,
    no_such_option,
)
from hypershell.cli.hints import Situation
from hypershell.core.errors import UsageError
from hypershell.core.host import bare

_MAX_OWNERS = 3
_COMMAND_VERBS = ("run", "submit")  # which take one after `--`


class Parsed:
    """The options of one command line. Asking for one checks its value.

    `verb` has the second word of a command such as `server stop`, and `word` is that word, or "".
    """

    def __init__(
        self, verb: str, usage: UsageText, values: Mapping[str, Any], arguments: Arguments
    ) -> None:
        self.verb = verb
        self.word = verb.partition(" ")[2]
        self._arguments = arguments
        self._separators = {name: separator for separator, name in usage.separators.items()}
        self._defaults = {option.name: option.default for option in usage.options.values()}
        self._values = {**self._defaults, **values}

    def given(self) -> set[str]:
        """The long names (or only names) of options whose value is not the default."""
        return {
            name
            for name, default in self._defaults.items()
            if name in self._values and self._values[name] != default
        }

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def is_given(self, name: str) -> bool:
        """Whether an option or argument has another value than its default."""
        return bool(self._values[name] != self._defaults.get(name))

    def flag(self, name: str) -> bool:
        """Whether it was given."""
        return bool(self._values[name])

    def words(self, name: str) -> list[str]:
        """A positional argument that may be repeated, or the words after its separator."""
        if separator := self._separators.get(name):
            parts = self._arguments.separated
            return [word for part in parts if part.separator == separator for word in part.words]
        return list(self._values[name])

    def separated(self) -> tuple[Separated, ...]:
        """The separators that were given, each with its words."""
        return self._arguments.separated

    def repeated(self, name: str) -> list[str]:
        """The values of an option that may be repeated, in order."""
        return self._arguments.values(name)

    def text(self, *names: str) -> str | None:
        """The value of an option or of its synonyms; two that differ are an error."""
        return self._given(names)[1]

    def _given(self, names: tuple[str, ...]) -> tuple[str, str | None]:
        """The synonym that was given and its value, or else the first with its default."""
        values = {name: self._arguments.last(name) for name in names}
        given = {name: value for name, value in values.items() if value is not None}
        if len(set(given.values())) > 1:
            spelled = " and ".join(f"{name} {value}" for name, value in given.items())
            raise self.error(f"{spelled} contradict each other")
        return next(iter(given.items()), (names[0], self._values[names[0]]))

    def host(self, name: str) -> str | None:
        """The value of an option that takes a host, without the brackets of an IPv6 address."""
        text = self.text(name)
        return None if text is None else bare(text)

    def whole(self, *names: str, default: int, lowest: int, highest: int = 10**9) -> int:
        """A whole number within bounds."""
        name, text = self._given(names)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise self.error(f"{name} must be a whole number, not {text!r}")
        number = int(text)
        if not lowest <= number <= highest:
            bounds = f"of at least {lowest}" if highest == 10**9 else f"from {lowest} to {highest}"
            raise self.error(f"{name} must be a whole number {bounds}, not {text}")
        return number

    def seconds(self, *names: str, default: float, lowest: float = 0.0) -> float:
        """A number of seconds, whole or not."""
        name, text = self._given(names)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?(\d{1,9}(\.\d*)?|\.\d+)", text, re.ASCII):
            raise self.error(f"{name} must be a number of seconds, not {text!r}")
        number = float(text)
        if number < lowest:
            raise self.error(f"{name} must be at least {lowest:g} seconds, not {text}")
        return number

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        text = self.text(name) or default
        if text not in choices:
            raise self.error(f"{name} must be one of {', '.join(choices)}, not {text!r}")
        return text

    def option_like(self, words: list[str]) -> str:
        """A hint, if one of these words is the name of an option without its dashes."""
        named = [f"--{word}" for word in words if f"--{word}" in self._defaults]
        return f"did you mean `hyper-shell {self.verb} {named[0]}`?" if named else ""

    def error(self, what: str, hint: str = "") -> UsageError:
        """What is wrong with this command line."""
        return UsageError(what, self.verb, hint)


def _owners(found: Arguments, usage: UsageText, verb: str) -> dict[str, str]:
    """For options that a verb lacks, the verbs that have them, where these are few."""
    foreign = [each.spelled for each in found.options if each.option is None]
    unknown = [name for name in foreign if "?" not in no_such_option(name, usage.options)]
    if not unknown:
        return {}
    from importlib import import_module

    from hypershell.cli.verb_table import VERBS

    others = [each for each in VERBS.values() if each.name != verb.partition(" ")[0]]
    texts = {each.name: UsageText(import_module(each.module).USAGE) for each in others}
    owners: dict[str, str] = {}
    for spelled in unknown:
        names = [name for name, text in texts.items() if spelled in text.options]
        if 0 < len(names) <= _MAX_OWNERS:
            owners[spelled] = "` and `".join(f"hyper-shell {name}" for name in names)
    return owners


def _bare_command(verb: str, text: UsageText, arguments: list[str]) -> UsageError:
    """The error for a command that was given without `--`: its options are not ours."""
    from hypershell.cli.meant import meant_by_bare_command

    at = next(n for n in range(len(arguments)) if cut(text, arguments[: n + 1]).operands)
    words = arguments[at:]
    return UsageError(
        f'unexpected argument "{words[0]}": `{verb}` takes a command after `--`',
        verb,
        meant_by_bare_command(verb, _without_places(words), arguments[:at]),
    )


def _without_places(words: list[str]) -> list[str]:
    """A command without what says where it works: `fitted` puts that where it belongs."""
    from hypershell.cli.hints import PLACES

    rest, left = list[str](), iter(words)
    for word in left:
        name, joined, _ = word.partition("=")
        if name not in PLACES:
            rest.append(word)
        elif not joined:
            next(left, None)
    return rest


def parse(
    usage: str, verb: str, arguments: list[str], words: Mapping[str, str] | None = None
) -> Parsed | None:
    """Parse a verb's arguments by its usage text; None if its help was asked for, and shown.

    `words` are the usage texts of commands such as `server stop`, by their second word.
    """
    texts = {"": usage, **(words or {})}
    usages = {word: UsageText(text) for word, text in texts.items()}
    word = first_operand(usages.values(), arguments) or ""
    text = usages.pop(word, None) or usages.pop("")
    elsewhere = {
        name: " ".join(filter(None, ("hyper-shell", verb, other)))
        for other, foreign in usages.items()
        for name in foreign.options
    }
    verb = verb if "" not in usages else f"{verb} {word}"
    found = cut(text, arguments)
    Situation.note(verb, {name: found.last(name) for name in ("--server-dir", "--database")})
    if found.has(DEBUG.name):
        from hypershell.cli.explain import Debugging

        Debugging.on = True
    if found.has("--help"):
        print(text.text, end="")
        return None
    if verb in _COMMAND_VERBS and found.operands and not found.has("--file"):
        raise _bare_command(verb, text, arguments)
    check(found, text, verb, _owners(found, text, verb) | elsewhere)
    try:
        words_for_docopt = found.for_docopt(text.optional_separators)
        given = [each.option.name for each in found.options if each.option is not None]
        described = text.for_docopt(given)
        values = docopt(described, [*verb.split()[:1], *words_for_docopt], default_help=False)
    except DocoptExit as error:
        from hypershell.cli.complaint import complaint

        raise complaint(text.text, verb, found) from error
    return Parsed(verb, text, values, found)
