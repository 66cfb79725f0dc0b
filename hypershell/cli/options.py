"""From the words of a command line to checked values; UsageError says which option and why."""

import re
from collections.abc import Mapping
from typing import Any

from docopt import DocoptExit, docopt, parse_docstring_sections, parse_options

from hypershell.core.errors import UsageError

_OPTION = re.compile(r"^ {1,8}(-.*?)(?:  |$)", re.MULTILINE)
_NAME = re.compile(r"--?[A-Za-z][\w-]*")


class Parsed:
    """The options of one command line. Asking for one checks its value.

    `defaults` are the values of options that were not given.
    """

    def __init__(
        self, verb: str, values: Mapping[str, Any], defaults: Mapping[str, object]
    ) -> None:
        self.verb = verb
        self._values = values
        self._defaults = defaults

    def given(self) -> set[str]:
        """The long names (or only names) of options whose value is not the default."""
        return {
            name
            for name, default in self._defaults.items()
            if name.startswith("-") and self._values[name] != default
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
        """A positional argument that may be repeated."""
        return list(self._values[name])

    def text(self, *names: str) -> str | None:
        """The value of an option or of its synonyms; two that differ are an error."""
        given = {name: self._values[name] for name in names if self._values[name] is not None}
        if len(set(given.values())) > 1:
            spelled = " and ".join(f"{name} {value}" for name, value in given.items())
            raise self.error(f"{spelled} contradict each other")
        return next(iter(given.values()), None)

    def whole(self, *names: str, default: int, lowest: int, highest: int = 10**9) -> int:
        """A whole number within bounds."""
        text = self.text(*names)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise self.error(f"{names[0]} wants a whole number, not {text!r}")
        number = int(text)
        if not lowest <= number <= highest:
            bounds = f"of at least {lowest}" if highest == 10**9 else f"from {lowest} to {highest}"
            raise self.error(f"{names[0]} wants a whole number {bounds}, not {text}")
        return number

    def seconds(self, *names: str, default: float, lowest: float = 0.0) -> float:
        """A number of seconds, whole or not."""
        text = self.text(*names)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?(\d{1,9}(\.\d*)?|\.\d+)", text, re.ASCII):
            raise self.error(f"{names[0]} wants a number of seconds, not {text!r}")
        number = float(text)
        if number < lowest:
            raise self.error(f"{names[0]} wants at least {lowest:g} seconds, not {text}")
        return number

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        text = self.text(name) or default
        if text not in choices:
            raise self.error(f"{name} wants one of {', '.join(choices)}, not {text!r}")
        return text

    def error(self, what: str, hint: str = "") -> UsageError:
        """What is wrong with this command line."""
        return UsageError(what, self.verb, hint)


def parse(usage: str, verb: str, arguments: list[str]) -> Parsed | None:
    """Parse a verb's arguments by its usage text; None if its help was asked for, and shown."""
    known = {name for line in _OPTION.findall(usage) for name in _NAME.findall(line)}
    for word in arguments:
        if word == "--":
            break
        if word in ("-h", "--help"):
            print(usage, end="")
            return None
    try:
        values = docopt(usage, [verb, *arguments], default_help=False)
    except DocoptExit as error:
        raise UsageError(_complaint(arguments, known), verb) from error
    options = parse_options(parse_docstring_sections(usage).after_usage)
    defaults: dict[str, object] = {option.name or "": option.value for option in options}
    return Parsed(verb, values, defaults)


def _complaint(arguments: list[str], known: set[str]) -> str:
    """What docopt could not make sense of, in our words."""
    for word in arguments:
        name = word.partition("=")[0]
        if word == "--":
            break
        if name.startswith("--") and not any(option.startswith(name) for option in known):
            return f"there is no option {name}"
        if name.startswith("-") and len(name) > 1 and name[1] != "-" and name[:2] not in known:
            return f"there is no option {name[:2]}"
    if arguments and arguments[-1] in known:
        return f"{arguments[-1]} wants a value, or does not go with the rest"
    if not set(arguments) - {"--"}:
        return "arguments are missing"
    return f"these arguments do not go together: {' '.join(arguments)}"
