"""From the words of a command line to checked values; UsageError says which option and why."""

import re
from collections.abc import Mapping
from typing import Any

from docopt import DocoptExit, docopt

from hypershell.cli.arguments import DEBUG, Arguments, UsageText, check, cut, first_operand
from hypershell.core.errors import UsageError
from hypershell.core.host import bare


class Parsed:
    """The options of one command line. Asking for one checks its value.

    `verb` has the second word of a command such as `server stop`, and `word` is that word, or "".
    """

    def __init__(
        self, verb: str, usage: UsageText, values: Mapping[str, Any], arguments: Arguments
    ) -> None:
        self.verb = verb
        self.word = verb.partition(" ")[2]
        self._values = values
        self._arguments = arguments
        self._separators = {name: separator for separator, name in usage.separators.items()}
        self._defaults = {option.name: option.default for option in usage.options.values()}

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

    def repeated(self, name: str) -> list[str]:
        """The values of an option that may be repeated, in order."""
        return self._arguments.values(name)

    def text(self, *names: str) -> str | None:
        """The value of an option or of its synonyms; two that differ are an error."""
        given = {name: self._values[name] for name in names if self._values[name] is not None}
        if len(set(given.values())) > 1:
            spelled = " and ".join(f"{name} {value}" for name, value in given.items())
            raise self.error(f"{spelled} contradict each other")
        return next(iter(given.values()), None)

    def host(self, name: str) -> str | None:
        """The value of an option that takes a host, without the brackets of an IPv6 address."""
        text = self.text(name)
        return None if text is None else bare(text)

    def whole(self, *names: str, default: int, lowest: int, highest: int = 10**9) -> int:
        """A whole number within bounds."""
        text = self.text(*names)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise self.error(f"{names[0]} must be a whole number, not {text!r}")
        number = int(text)
        if not lowest <= number <= highest:
            bounds = f"of at least {lowest}" if highest == 10**9 else f"from {lowest} to {highest}"
            raise self.error(f"{names[0]} must be a whole number {bounds}, not {text}")
        return number

    def seconds(self, *names: str, default: float, lowest: float = 0.0) -> float:
        """A number of seconds, whole or not."""
        text = self.text(*names)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?(\d{1,9}(\.\d*)?|\.\d+)", text, re.ASCII):
            raise self.error(f"{names[0]} must be a number of seconds, not {text!r}")
        number = float(text)
        if number < lowest:
            raise self.error(f"{names[0]} must be at least {lowest:g} seconds, not {text}")
        return number

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        text = self.text(name) or default
        if text not in choices:
            raise self.error(f"{name} must be one of {', '.join(choices)}, not {text!r}")
        return text

    def error(self, what: str, hint: str = "") -> UsageError:
        """What is wrong with this command line."""
        return UsageError(what, self.verb, hint)


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
    if found.has(DEBUG.name):
        from hypershell.cli.explain import Debugging

        Debugging.on = True
    if found.has("--help"):
        print(text.text, end="")
        return None
    check(found, text, verb, elsewhere)
    try:
        values = docopt(
            text.for_docopt, [*verb.split()[:1], *found.for_docopt()], default_help=False
        )
    except DocoptExit as error:
        from hypershell.cli.complaint import complaint

        raise complaint(text.text, verb, found) from error
    return Parsed(verb, text, values, found)
