"""Reads a USAGE text into its parts, for the pages and completions that are rendered from it.

The shape of such a text: `Usage:` and its lines; paragraphs; sections, each a heading at the margin
that ends in a colon with indented lines below. Under a heading that ends in "options:" stand option
lines as docopt reads them; anywhere else an indented block is left as it is.
"""

import re
from dataclasses import dataclass
from importlib import import_module

from hypershell.cli.verb_table import VERBS

PROGRAM = "hyper-shell"

HEADING = re.compile(r"^(?P<title>[A-Z][A-Za-z ]{0,38}):$")
CHOICES = re.compile(r"^([a-z]+) or ([a-z]+)(?: \[default: [a-z]+\])?\.?$")
ENTRY = re.compile(r"^ {1,8}(?P<term>\S+(?: \S+)*) {2,}(?P<meaning>\S.*)$")
WORD = re.compile(r"--?[A-Za-z][\w-]*|[A-Za-z][\w-]*|<[\w-]+>|-(?=\s|$|\|)")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its spellings, the name of its value ("" for a flag) and what it does."""

    names: tuple[str, ...]
    metavar: str
    description: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it takes, if it says so: as `one|other`, or as "one or other" for a start."""
        if "|" in self.metavar:
            return tuple(self.metavar.split("|"))
        found = CHOICES.match(self.description) if self.metavar else None
        return tuple(found.groups()) if found else ()


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Lines that are shown as they stand."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A term and what it means, as in a table of exit statuses."""

    term: str
    meaning: str


Block = str | Verbatim | Entry | Option


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, "" for the text before the first one, and what stands under it."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def is_options(self) -> bool:
        """Whether its indented lines are options."""
        return self.title.lower().endswith("options")


@dataclass(frozen=True, slots=True)
class Usage:
    """A USAGE text in parts."""

    synopsis: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def options(self) -> list[Option]:
        """All options, in the order of the text."""
        return [b for s in self.sections for b in s.blocks if isinstance(b, Option)]

    @property
    def words(self) -> list[str]:
        """The fixed words that the synopsis has after the verb, such as `stop`."""
        return [word for word in self._words() if word.islower() and word[0].isalpha()]

    @property
    def operands(self) -> list[str]:
        """The names of the positional arguments, such as FILE."""
        return [word for word in self._words() if word.isupper() or word[0] == "<"]

    def _words(self) -> list[str]:
        found: dict[str, None] = {}
        for line in self.synopsis:
            _, *rest = line.split()
            if rest and rest[0] in VERBS:
                rest = rest[2:] if rest[1:] and rest[1] in words_of(rest[0]) else rest[1:]
            words = WORD.findall(" ".join(rest))
            found.update(dict.fromkeys(w for w in words if w[0] != "-" and w != "options"))
        return list(found)


def usage_of(command: str) -> str:
    """The usage text of a verb or of a command such as `server stop`; "" is the program's own."""
    verb, _, word = command.partition(" ")
    module = import_module(VERBS[verb].module if verb else "hypershell.cli.main")
    text = module.WORDS[word] if word else module.USAGE
    assert isinstance(text, str)
    return text


def words_of(verb: str) -> list[str]:
    """The second words of a verb that have a usage text of their own."""
    return list(getattr(import_module(VERBS[verb].module), "WORDS", {}))


def commands() -> list[str]:
    """Every verb, each followed by its commands of two words."""
    return [name for verb in VERBS for name in (verb, *(f"{verb} {w}" for w in words_of(verb)))]


def read_usage(text: str) -> Usage:
    """Take a USAGE text apart."""
    titles, bodies = [""], [list[str]()]
    for line in text.strip("\n").splitlines():
        if heading := HEADING.match(line):
            titles.append(heading["title"])
            bodies.append([])
        else:
            bodies[-1].append(line.rstrip())
    synopsis: tuple[str, ...] = ()
    sections: list[Section] = []
    for title, body in zip(titles, bodies, strict=True):
        if title == "Usage":
            cut = next((n for n, line in enumerate(body) if line[:1].strip()), len(body))
            synopsis = _read_synopsis(body[:cut])
            title, body = "", body[cut:]
        blocks = _read_blocks(body, "options" in title.lower())
        if blocks:
            sections.append(Section(title, tuple(blocks)))
    return Usage(synopsis, tuple(sections))


def _read_synopsis(lines: list[str]) -> tuple[str, ...]:
    """One entry a form of the command; a line that goes on is joined to the one before."""
    forms: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        if line.split()[0] == PROGRAM:
            forms.append(line)
        else:
            forms[-1] += " " + line
    return tuple(forms)


def _read_blocks(lines: list[str], options: bool) -> list[Block]:
    blocks: list[Block] = []
    for chunk in re.split(r"\n(?:\n)+", "\n".join(lines).strip("\n")):
        if not chunk.strip():
            continue
        if chunk[0] != " ":
            blocks.append(" ".join(chunk.split()))
        elif options and chunk.lstrip()[0] == "-":
            blocks.extend(map(_read_option, re.split(r"\n(?= {1,8}-\S)", chunk)))
        else:
            blocks.extend(_read_table(chunk.splitlines()) or [_read_verbatim(chunk.splitlines())])
    return blocks


def _read_verbatim(lines: list[str]) -> Verbatim:
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    return Verbatim(tuple(line[indent:] for line in lines))


def _read_table(lines: list[str]) -> list[Entry]:
    """The entries of a table of two columns; none if the lines are something else."""
    entries: list[Entry] = []
    margin = len(lines[0]) - len(lines[0].lstrip())
    for line in lines:
        if entries and line.startswith(" " * (margin + 1)):
            entries[-1] = Entry(entries[-1].term, f"{entries[-1].meaning} {line.strip()}")
        elif found := ENTRY.match(line):
            entries.append(Entry(found["term"], found["meaning"]))
        else:
            return []
    return [] if entries[0].term.startswith("$") else entries


def _read_option(text: str) -> Option:
    head, _, description = text.strip().partition("  ")
    words = head.replace(",", " ").replace("=", " ").split()
    names = tuple(word for word in words if word.startswith("-"))
    metavars = [word for word in words if not word.startswith("-")]
    return Option(names, metavars[0] if metavars else "", " ".join(description.split()))
