"""Says what is wrong with a command line whose words do not match the usage text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hypershell.cli.arguments import Arguments
from hypershell.cli.completion.usage import PROGRAM, read_usage
from hypershell.cli.meant import meant_by_client_file
from hypershell.core.errors import UsageError

_PART = re.compile(r"\(([^)]*)\)|\[([^\]]*)\]|(\S+)")
_OPTION_WITH_VALUE = re.compile(r"(?<!\S)-\S+ [A-Z]+(?!\S)")
_SEPARATED = re.compile(r"(?<!\S)(?:\[(--|::::?\+?) [A-Z]+\.\.\.\]|-- [A-Z]+\.\.\.)")
_NEEDS_COMMAND = re.compile(r"(?<!\S)-- [A-Z]+\.\.\.")


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a word: one of a few fixed ones, or the name of what the user gives."""

    fixed: tuple[str, ...]
    name: str
    optional: bool
    many: bool


@dataclass(frozen=True, slots=True)
class Form:
    """One line of the usage: how the command is called, and the places after that."""

    name: str
    places: tuple[Place, ...]
    separated: bool

    @property
    def most(self) -> float:
        """How many words it takes at most."""
        return float("inf") if any(place.many for place in self.places) else len(self.places)


def complaint(usage: str, verb: str, arguments: Arguments) -> UsageError:
    """The error for arguments that no form of the usage accepts."""
    synopsis = read_usage(usage).synopsis
    forms = [_read_form(line, verb) for line in synopsis]
    operands = arguments.operands[verb.count(" ") :]
    fixed = _fixed_words(forms)
    if fixed and not operands:
        return UsageError(f"`{verb}` needs {_either(fixed)}", verb)
    if fixed and operands[0] not in fixed:
        return UsageError(f'`{verb}` takes {_either(fixed)}, not "{operands[0]}"', verb)
    fitting = [found for form in forms if (found := _after_fixed(form, operands)) is not None]
    widest, words = max(fitting, key=lambda found: found[0].most)
    if len(words) > widest.most:
        word = words[len(widest.places)]
        if verb == "client":
            hint = meant_by_client_file(list(words))
            return UsageError(f'unexpected argument "{word}": {_signature(widest)}', verb, hint)
        return UsageError(f'unexpected argument "{word}": {_signature(widest)}', verb)
    if any(not place.optional for place in widest.places[len(words) :]):
        return UsageError(f"an argument is missing: {_signature(widest)}", verb)
    expected = " or ".join(f"`{line}`" for line in synopsis)
    return UsageError(f"expected {expected}", verb)


def _read_form(line: str, verb: str) -> Form:
    text = line.removeprefix(f"{PROGRAM} {verb}")
    separated = bool(_NEEDS_COMMAND.search(text))
    text = _OPTION_WITH_VALUE.sub("", _SEPARATED.sub("", text)).replace("[options]", "")
    places = []
    for choice, optional, plain in _PART.findall(text):
        words = [
            word.strip().removesuffix("...") for word in (choice or optional or plain).split("|")
        ]
        fixed = tuple(word for word in words if not word.isupper())
        many = (optional or plain).endswith("...")
        places.append(Place(fixed, "" if fixed else words[0], bool(optional), many))
    return Form(verb, tuple(places), separated)


def _fixed_words(forms: Iterable[Form]) -> list[str]:
    """The words one of which must come first; none if a form does without."""
    words: list[str] = []
    for form in forms:
        if not form.places or not form.places[0].fixed or form.places[0].optional:
            return []
        words += form.places[0].fixed
    return words


def _after_fixed(form: Form, operands: tuple[str, ...]) -> tuple[Form, tuple[str, ...]] | None:
    """The form after its fixed first word, and the words left for it; None if that is missing."""
    if not form.places or not form.places[0].fixed:
        return form, operands
    first, *rest = form.places
    if operands and operands[0] in first.fixed:
        name = f"{form.name} {operands[0]}"
        return Form(name, tuple(rest), form.separated), operands[1:]
    return (Form(form.name, tuple(rest), form.separated), operands) if first.optional else None


def _signature(form: Form) -> str:
    """What a form takes."""
    names = [place.name for place in form.places]
    if form.separated:
        takes = "a command after `--`"
    elif len(names) == 1:
        takes = f"one {names[0]}"
    else:
        takes = " and ".join(names) or "no arguments"
    return f"`{form.name}` takes {takes}"


def _either(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
